"""Prints whether the package may compile, as the environment has it."""

from keras_asgld import config

if __name__ == "__main__":
    print("on" if config.is_compilation_enabled() else "off")
