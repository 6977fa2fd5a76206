"""The command `keras-asgld`."""
