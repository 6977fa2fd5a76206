"""`python -m keras_asgld`: the command `keras-asgld`."""

from keras_asgld.cli.command import run

if __name__ == "__main__":
    run()
