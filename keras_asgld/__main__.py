"""`python -m keras_asgld`: the command `keras-asgld`, without the package's names."""

from keras_asgld.cli.command import run

if __name__ == "__main__":
    run()
