"""The experiments: one run, a comparison of optimizers, and the command."""
