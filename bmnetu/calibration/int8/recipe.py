"""The ways to make an integer net of a float net: a method and switches."""

from __future__ import annotations

from dataclasses import dataclass, replace

AUTO = "AUTO"
"""The method that chooses among recipes by measurement."""


@dataclass(frozen=True)
class Recipe:
    """A method of :mod:`bmnetu.calibration.thresholds.methods`, and which steps are taken.

    See docs/calibration.md, "Thresholds and weights".
    """

    method: str
    equalize: bool
    rounding: bool
    correction: bool

    @property
    def refines(self) -> bool:
        """Whether weights or biases are refined on batches."""
        return self.rounding or self.correction

    def plain(self) -> Recipe:
        """Without refined weights and biases."""
        return replace(self, rounding=False, correction=False)

    def flags(self) -> str:
        """The flags that choose it."""
        switches = {"equalize": self.equalize, "adaptive_rounding": self.rounding}
        said = [f"-{name}={str(on).lower()}" for name, on in switches.items()]
        return " ".join([f"-th_method={self.method}", *said])
