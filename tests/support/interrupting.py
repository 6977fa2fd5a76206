"""A run that is cut short."""

from keras_asgld.cli.progress import Progress


class Interrupting(Progress):
    """Ctrl-C just after the given number of epochs; keeps the warnings."""

    def __init__(self, after=None, epochs=4):
        super().__init__(runs=1, epochs=epochs, steps=3)
        self.after = after
        self.warnings = []

    def epoch(self, numbers):
        super().epoch(numbers)
        if numbers["epoch"] == self.after:
            raise KeyboardInterrupt

    def warn(self, line):
        super().warn(line)
        self.warnings.append(line)
