"""All that theory knows of a stack, each part computed once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache

from snstat.network.stack import Stack
from snstat.results import FloatArray, InputMoments, Outlook
from snstat.theory.finite_width import FiniteWidth, finite_width, of_one_sample
from snstat.theory.outlook import outlook
from snstat.theory.predict import predict
from snstat.theory.prediction import Prediction
from snstat.theory.silence import silence

# What theory keeps of a layer, and of how many stacks it is kept.
BYTES_PER_LAYER, KEPT = 1000, 64


class Known:
    """Theory of `batch` samples with the moments `inputs` in a stack, with gradients at its width
    if `backward`. Arrays are (depth + 1,)."""

    def __init__(
        self, stack: Stack, batch: int, inputs: InputMoments, *, backward: bool = False
    ) -> None:
        self.stack, self.batch, self.inputs = stack, batch, inputs
        self.backward = backward

    @cached_property
    def prediction(self) -> Prediction:
        """Theory at infinite width."""
        return predict(self.stack, self.batch, self.inputs)

    @cached_property
    def alone(self) -> Prediction:
        """The theory that one sample is enough for: pairs take far longer."""
        return self.prediction.alone

    @cached_property
    def corrected(self) -> FiniteWidth:
        """Theory at the width of the stack."""
        return finite_width(
            self.stack, self.batch, self.inputs, self.prediction, backward=self.backward
        )

    @cached_property
    def of_one_sample(self) -> tuple[FloatArray, FloatArray]:
        """The standard deviation between networks of the log second moment, and the second moment
        at the width of the stack, to first order where that is trusted."""
        return of_one_sample(self.stack, self.inputs, self.alone)

    @cached_property
    def silent(self) -> FloatArray:
        """Share of the networks of which some layer so far is 0 for every sample."""
        return silence(self.stack, self.batch, self.prediction).share

    @cached_property
    def outlook(self) -> Outlook:
        """What becomes of the signal if the stack went on for ever; of a kind "unknown" too."""
        return outlook(self.stack, self.alone) or Outlook("unknown")


def theories() -> Callable[[Stack, int, InputMoments], Known]:
    """Return a function from a stack, a batch and inputs to what is known of them.

    It keeps the latest results, and frees them when it is freed itself.
    """
    return lru_cache(maxsize=KEPT)(Known)
