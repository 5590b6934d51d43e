"""What an import function sees of the layer it imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.prototxt.custom import Setting, settings_of
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.ufw_pb2 import LayerParameter
from bmnetu.frontend.weights.blobs import BlobSource, Coefficients, Required, Role
from dialects.ufw.layer import Top, shape_of
from dialects.ufw.shapes import Shape


class UnsupportedSetting(ValueError):
    """The layer's type can be imported, one of its settings cannot; the message says which."""


@dataclass(frozen=True)
class LayerSite:
    """A layer, the values it reads, the results it is to make, and its coefficients.

    Import functions raise :class:`VerifyException` for wrong shapes and settings,
    :class:`UnsupportedSetting` for what cannot be imported.
    """

    layer: Layer
    bottoms: Sequence[SSAValue]
    tops: Sequence[Top]
    source: BlobSource

    @property
    def param(self) -> LayerParameter:
        return self.layer.param

    @property
    def bottom(self) -> SSAValue:
        return self.bottoms[0]

    @property
    def top(self) -> Top:
        return self.tops[0]

    @property
    def shape(self) -> Shape:
        """The first bottom's shape."""
        return shape_of(self.bottom)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def channels(self) -> int:
        """The first bottom's channels, dimension 1."""
        if self.rank < 2:
            raise VerifyException("its input has no channel dimension")
        return self.shape[1]

    @property
    def is_integer(self) -> bool:
        return self.source.is_integer(self.layer)

    @property
    def blob_count(self) -> int | None:
        """How many blobs the layer has; None where it gets those that it asks for."""
        shapes = self.blob_shapes
        return None if shapes is None else len(shapes)

    @property
    def blob_shapes(self) -> Sequence[Shape] | None:
        """The shapes of the layer's blobs; None where it gets those that it asks for."""
        return self.source.shapes(self.layer)

    def coefficients(self, *required: tuple[Role, Shape]) -> Coefficients:
        """The layer's blobs, one a required role and shape."""
        blobs = tuple(Required(role, shape) for role, shape in required)
        return self.source.take(self.layer, blobs)

    def custom(self, message: str) -> dict[str, Setting]:
        """The fields of a message that a plug-in declares, by name; defaults where not given."""
        return settings_of(self.param, message)

    def axis(self, axis: int) -> int:
        """A Caffe axis as a dimension: negative ones count from the end."""
        found = axis + self.rank if axis < 0 else axis
        if not 0 <= found < self.rank:
            raise VerifyException(f"axis {axis} is outside a tensor of {self.rank} dimensions")
        return found
