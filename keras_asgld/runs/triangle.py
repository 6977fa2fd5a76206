"""The learning rate that rises to a peak and falls to the end of the run."""

import keras
from keras import ops


class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """Linear from `START` of the peak to the peak, and from there to `END` of it.

    The numbers are those with which CIFAR-10 was learnt in ten epochs (Jordan 2024).

    Args:
        peak: The largest rate.
        steps: The number of steps of the run.
    """

    START, END = 0.2, 0.07
    AT = 0.23  # the share of the steps before the peak

    def __init__(self, peak, steps):
        self.peak, self.steps = peak, steps

    def __call__(self, step):
        top = max(1, int(self.AT * self.steps))
        step = ops.cast(step, "float32")
        rising = self.START + (1 - self.START) * step / top
        falling = 1 - (1 - self.END) * (step - top) / (self.steps - top or 1)
        return self.peak * ops.minimum(rising, falling)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}
