"""Constant data shared by all dialects: one content-addressed attribute.

Weights never appear in IR text as elements. A :class:`Constant` holds a read-only numpy array and
prints as a short handle, ``<"507115eca55c1310", "int8", [64, 3, 7, 7]>``; two constants are
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


class ConstantError(ValueError):
    """A constant that was parsed from text is used without its data."""


@dataclass(frozen=True)
class Constant:
    """A constant array known by its content.

    ``array`` is None when the constant was parsed from text and its side file is not given yet.
    """

    dtype: str
    shape: tuple[int, ...]
    digest: str
    array: Array | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(array: Array) -> Constant:
        """The constant of an array; the data is kept by reference and made read-only."""
        data = np.ascontiguousarray(array).reshape(np.shape(array))
        data.setflags(write=False)
        state = hashlib.blake2b(f"{data.dtype}{data.shape}".encode(), digest_size=8)
        state.update(data.view(np.uint8).data if data.ndim else data.tobytes())
        digest = state.hexdigest()
        return Constant(str(data.dtype), tuple(data.shape), digest, data)

    @property
    def data(self) -> Array:
        """The array, read-only. Raises :class:`ConstantError` when only the handle is known."""
        if self.array is None:
            raise ConstantError(
                f"constant {self.digest} has no data: pass the weights.npz of the dump (--weights)"
            )
        return self.array


@irdl_attr_definition
class ConstantAttr(Data[Constant]):
    """Constant data of an op: ``#constant.data<"digest", "dtype", [shape]>``."""

    name = "constant.data"

    @staticmethod
    def of(array: Array) -> ConstantAttr:
        return ConstantAttr(Constant.of(array))

    @property
    def array(self) -> Array:
        return self.data.data

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Constant:
        with parser.in_angle_brackets():
            digest = parser.parse_str_literal()
            parser.parse_punctuation(",")
            dtype = parser.parse_str_literal()
            parser.parse_punctuation(",")
            shape = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
        return Constant(dtype, tuple(shape), digest)

    def print_parameter(self, printer: Printer) -> None:
        constant = self.data
        with printer.in_angle_brackets():
            printer.print_string_literal(constant.digest)
            printer.print_string(", ")
            printer.print_string_literal(constant.dtype)
            printer.print_string(", [" + ", ".join(map(str, constant.shape)) + "]")


def with_data(attr: ConstantAttr, arrays: Mapping[str, Array]) -> ConstantAttr:
    """The same constant with its data looked up by digest; checks dtype, shape and digest.

    Raises :class:`ConstantError` when the data is missing or does not have that digest.
    """
    constant = attr.data
    if constant.array is not None:
        return attr
    if constant.digest not in arrays:
        raise ConstantError(f"constant {constant.digest} is not in the weights file")
    found = Constant.of(arrays[constant.digest])
    if found != constant:
        raise ConstantError(f"constant {constant.digest} in the weights file has other contents")
    return ConstantAttr(found)


CONSTANT = Dialect("constant", [], [ConstantAttr])
