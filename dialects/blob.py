"""Constant data shared by all dialects: one content-addressed attribute.

Weights never appear in IR text as elements. A :class:`Blob` holds a read-only numpy array and
prints as a short handle, ``<"507115eca55c1310", "int8", [64, 3, 7, 7]>``; two blobs are
equal when dtype, shape and digest are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Data, Dialect
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

Array = NDArray[Any]


class BlobError(ValueError):
    """A blob that was parsed from text is used without its data."""


@dataclass(frozen=True)
class Blob:
    """A constant array known by its content.

    ``array`` is None when the blob was parsed from text and its side file has not been given yet.
    """

    dtype: str
    shape: tuple[int, ...]
    digest: str
    array: Array | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(array: Array) -> Blob:
        """The blob of an array; the data is kept by reference and made read-only."""
        data = np.ascontiguousarray(array).reshape(np.shape(array))
        data.setflags(write=False)
        state = hashlib.blake2b(f"{data.dtype}{data.shape}".encode(), digest_size=8)
        state.update(data.view(np.uint8).data if data.ndim else data.tobytes())
        digest = state.hexdigest()
        return Blob(str(data.dtype), tuple(data.shape), digest, data)

    @property
    def data(self) -> Array:
        """The array, read-only. Raises :class:`BlobError` when only the handle is known."""
        if self.array is None:
            raise BlobError(
                f"blob {self.digest} has no data: pass the weights.npz of the dump (--weights)"
            )
        return self.array


@irdl_attr_definition
class BlobAttr(Data[Blob]):
    """Constant data of an op: ``#blob.data<"digest", "dtype", [shape]>``."""

    name = "blob.data"

    @staticmethod
    def of(array: Array) -> BlobAttr:
        return BlobAttr(Blob.of(array))

    @property
    def array(self) -> Array:
        return self.data.data

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Blob:
        with parser.in_angle_brackets():
            digest = parser.parse_str_literal()
            parser.parse_punctuation(",")
            dtype = parser.parse_str_literal()
            parser.parse_punctuation(",")
            shape = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
        return Blob(dtype, tuple(shape), digest)

    def print_parameter(self, printer: Printer) -> None:
        blob = self.data
        with printer.in_angle_brackets():
            printer.print_string_literal(blob.digest)
            printer.print_string(", ")
            printer.print_string_literal(blob.dtype)
            printer.print_string(", [" + ", ".join(map(str, blob.shape)) + "]")


def with_data(attr: BlobAttr, arrays: Mapping[str, Array]) -> BlobAttr:
    """The same blob with its data looked up by digest; checks dtype, shape and digest.

    Raises :class:`BlobError` when the data is missing or does not have that digest.
    """
    blob = attr.data
    if blob.array is not None:
        return attr
    if blob.digest not in arrays:
        raise BlobError(f"blob {blob.digest} is not in the weights file")
    found = Blob.of(arrays[blob.digest])
    if found != blob:
        raise BlobError(f"blob {blob.digest} in the weights file has other contents")
    return BlobAttr(found)


BLOB = Dialect("blob", [], [BlobAttr])
