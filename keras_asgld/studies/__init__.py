"""Many runs: comparisons, searches for learning rates, frozen recipes."""
