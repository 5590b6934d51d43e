"""What passes and calibration ask a layer: traits for plain facts, methods for those that depend on
the layer's settings.

A fact that a layer does not state has the default here, with which everything works: the layer then
stays float in an INT8 net, and its results have scales of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.irdl import IRDLOperation
from xdsl.traits import OpTrait

from dialects.composed import Step

Array = NDArray[Any]
FloatArray = NDArray[np.float32]


class EvaluationError(ValueError):
    """The op has no meaning in float32."""


# -- traits ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PassesOn(OpTrait):
    """The results are float where an operand is: the layer computes with 8 bits as with floats."""


@dataclass(frozen=True)
class FollowsOperand(PassesOn):
    """No result is larger than all of the one operand: data are moved, or maxima or means taken."""


@dataclass(frozen=True)
class MovesData(FollowsOperand):
    """Numbers are put elsewhere, none is changed."""


@dataclass(frozen=True)
class JoinsOperands(PassesOn):
    """The result holds all operands, in one scale: they can be made in it."""


@dataclass(frozen=True)
class TakesReLU(OpTrait):
    """A ReLU that is the only reader of the result can be part of the layer's arithmetic."""


@dataclass(frozen=True)
class CarriesOn(OpTrait):
    """With one operand, the layer belongs to the one before it: both are best float together."""


@dataclass(frozen=True)
class GivesProbabilities(OpTrait):
    """The results along an axis are probabilities."""


# -- facts that depend on settings -----------------------------------------------------------------


class LayerFacts(IRDLOperation):
    """The questions, with their defaults. ``nonnegative`` has a flag an operand: whether none of
    its numbers can be negative."""

    def meaning(self, inputs: Sequence[FloatArray]) -> Sequence[Array]:
        """The results on float32 operands, as Caffe computes them.

        Call :func:`dialects.ufw.reference.evaluate`, which checks and converts. Raises
        :class:`EvaluationError` for a layer without a meaning.
        """
        raise EvaluationError(f"{self.name} has no meaning in float32")

    @classmethod
    def states_meaning(cls) -> bool:
        """Whether the layer defines its meaning."""
        return cls.meaning is not LayerFacts.meaning

    # -- ranges and scales ---------------------------------------------------------------------

    @property
    def has_integers(self) -> bool:
        """Whether the layer can compute with 8 bits."""
        return False

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        """Whether the results have the scale of the first operand: they cannot exceed its range."""
        return False

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        """Whether no result can be negative."""
        return False

    @property
    def is_bounded(self) -> bool:
        """Whether there is a bound for the results whatever the operands are, near which they mean
        most."""
        return False

    @property
    def averages_map(self) -> bool:
        """Whether the layer takes the mean of a whole map, whose range is far below the map's."""
        return False

    @property
    def is_relu(self) -> bool:
        """Whether negative numbers become 0 and others stay, as far as the upper limit."""
        return False

    @property
    def upper_limit(self) -> float:
        """The number that larger ones become; infinity where there is none."""
        return np.inf

    @property
    def slopes(self) -> Array | None:
        """What negative numbers are multiplied by, float64: one number, or one a channel. None for
        a layer that treats all numbers alike."""
        return None

    @property
    def largest_slope(self) -> float:
        """The largest magnitude that one number is multiplied by, at least 1."""
        return 1.0 if self.slopes is None else float(np.abs(self.slopes).max(initial=1.0))

    @property
    def is_product(self) -> bool:
        """Whether the result's scale is a power of two times the product of the operands'."""
        return False

    @property
    def sum_factors(self) -> list[float] | None:
        """The factor of each operand where the layer is a sum of tensors, else None."""
        return None

    @property
    def operand_factors(self) -> list[float] | None:
        """The factor of each operand that has to be brought to the result's scale by an 8-bit
        multiplier, else None."""
        return self.sum_factors

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        """Whether a positive factor for each of the channels of the operand, a tensor that began as
        [batch, channels, ...], is the same factor for those of the results."""
        return False

    def steps(self, operands: Sequence[str]) -> Sequence[Step] | None:
        """The one result, number by number, as steps of a composed function on the operands' names;
        no step where it is the first operand. Names of the steps' own values begin with a low line,
        the last step has the target "". None for a layer that does not work number by number, or
        not of the operands alone."""
        return None

    # -- coefficients --------------------------------------------------------------------------

    def real_coefficients(self) -> tuple[Array, Array | None] | None:
        """Weight and bias as float64, which become integers in an INT8 net; None for a layer that
        has none."""
        return None

    def meet_weights(self, channels: Array) -> Array | float:
        """A number of each input channel, [C], broadcast to the weights that the channel meets."""
        return float(channels.mean())

    def set_integers(self, weight: Array, bias: Array | None, shift: int) -> None:
        """Replaces the real coefficients: int8 weights, int16 bias or None, and a right shift."""
        raise NotImplementedError(f"{self.name} has no integer coefficients")

    def stored_blobs(self) -> list[Array]:
        """The float coefficients as a caffemodel has them; :class:`LayerOp` gives all blobs in the
        order in which the op defines them."""
        return []

    def stored_weight(self, weight: Array) -> Array:
        """A weight, of the shape of the op's, as a weight file has it."""
        return weight

    def channel_affine(self, channels: int, axis: int = 1) -> tuple[Array, Array] | None:
        """(factor, addend) a number of a dimension, 1 for channels, [C] float64, where that is all
        the layer does."""
        return None
