"""A temperature schedule that Keras does not have."""

from typing import Any, SupportsFloat

import keras
from keras import ops

from keras_asgld.checks import check_integer, check_number


@keras.saving.register_keras_serializable(package="keras_asgld")
class CyclicTemperature(keras.optimizers.schedules.LearningRateSchedule):
    """A temperature that is on in the tail of every cycle and zero before it.

    Cyclical SG-MCMC restarts the learning rate in cycles. At the start of each, where
    the rate is large, it optimises and so finds another mode; at the end, where the
    rate is small, it samples around it. Give the learning rate the same cycles:
    `keras.optimizers.schedules.CosineDecayRestarts(rate, cycle_steps, t_mul=1.0)`.

    ```
    if step % cycle_steps < cycle_steps - sampling_steps: 0
    else: temperature
    ```

    The paper's β, the share of a cycle that explores, is
    `1 - sampling_steps / cycle_steps`. Keep the weights of the sampling steps only.

    Args:
        temperature: A non-negative float, the temperature of the sampling steps.
        cycle_steps: An integer >= 1, the length of a cycle in training steps.
        sampling_steps: An integer in [1, cycle_steps]: at the end of each cycle so
            many steps are noisy.

    Raises:
        ValueError: If an argument is out of its range or of another kind.

    Example:

    ```python
    import keras
    from keras_asgld import SGLD, CyclicTemperature

    optimizer = SGLD(
        learning_rate=keras.optimizers.schedules.CosineDecayRestarts(0.1, 100, 1.0),
        temperature=CyclicTemperature(1 / 5000, cycle_steps=100, sampling_steps=20),
    )
    assert float(optimizer.temperature) == 0.0
    ```

    Reference:

    - [Zhang et al., 2020](https://arxiv.org/abs/1902.03932), Algorithm 1.
    """

    def __init__(
        self, temperature: SupportsFloat, cycle_steps: int, sampling_steps: int
    ) -> None:
        check_number("temperature", temperature)
        check_integer("cycle_steps", cycle_steps, 1)
        check_integer("sampling_steps", sampling_steps, 1, cycle_steps, "cycle_steps")
        self.temperature = float(temperature)
        self.cycle_steps = int(cycle_steps)
        self.sampling_steps = int(sampling_steps)

    def __call__(self, step: Any) -> Any:
        position = ops.mod(ops.cast(step, "int32"), self.cycle_steps)
        samples = position >= self.cycle_steps - self.sampling_steps
        return self.temperature * ops.cast(samples, keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "cycle_steps": self.cycle_steps,
            "sampling_steps": self.sampling_steps,
        }
