"""What all records share: a layer of a dynamic network, as the chip's firmware reads it.

A dynamic network has no commands. It has a list of records, one a layer; at every launch the
firmware walks it, computes each shape from those of the inputs, and makes the commands itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    Float32Type,
    StringAttr,
    TensorType,
    i32,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    opt_prop_def,
    prop_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from dialects.c_struct import CStruct, Values
from dialects.constant import ConstantAttr
from dialects.names import quoted
from dialects.quant.base import I64S, i64s
from dialects.quant.types import tensor_type

Array = NDArray[Any]
Shape = tuple[int, ...]
Scratch = Callable[[Sequence[Shape], Sequence[Shape], bool], int]
"""Bytes of scratch memory for operands and results of these shapes, float32 or of 8 bits."""
NO_BUFFER = -1
"""The address of a network output: the user's buffer, which the firmware finds by its id."""
WORD = 4


@dataclass(frozen=True)
class Source:
    """An operand of a record in the stream: a tensor of the network, a coefficient, or a shape."""

    name: str
    is_coefficient: bool = False
    is_shape: bool = False


@dataclass(frozen=True)
class Record:
    """What the firmware knows of a layer.

    ``number`` is its type in the stream, ``struct`` the parameter block. ``tensors`` are the
    operands that are made at run time; ``coefficients`` follow them in the stream, each with the
    parameter that says whether it is there ("" where it always is). ``scratch`` are the parameters
    that hold the address of scratch memory, with the bytes that they need. ``shape_operands`` are
    those of ``tensors`` that are shapes; ``makes_shape``: the result is one.
    """

    number: int
    struct: CStruct
    tensors: tuple[str, ...] = ("x",)
    coefficients: Mapping[str, str] = field(default_factory=dict[str, str])
    scratch: Mapping[str, Scratch] = field(default_factory=dict[str, Scratch])
    shape_operands: tuple[str, ...] = ()
    makes_shape: bool = False


@dataclass(frozen=True)
class Call:
    """One execution of a record: its parameters and operands.

    8-bit operands are uint8, whatever their sign: the parameters say it, see :func:`signed`.
    ``coefficient`` reads so many numbers of a type at the address of a coefficient.
    """

    values: Values
    extra: tuple[int, ...]
    xs: Sequence[Array]
    coefficient: Callable[[str, type[np.generic], int], Array]

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the operands."""
        return [x.shape for x in self.xs]


class RecordOp(IRDLOperation, ABC):
    """One record.

    Its operands are tensors of their largest shapes, its results too. ``parameters`` are the values
    of the block that are not 0 (or their default), ``extra`` the numbers that some types have
    beside the block. ``coefficients`` are the constants by name, in the bytes that the firmware's
    kernel reads. ``addresses`` says where the results lie (NO_BUFFER: in the user's buffer),
    ``coefficient_addresses`` where the coefficients do, in the order of the stream.
    """

    RECORD: ClassVar[Record]

    xs = var_operand_def(TensorType)
    tops = prop_def(ArrayAttr[StringAttr])
    parameters = prop_def(DictionaryAttr)
    extra = opt_prop_def(I64S)
    coefficients = opt_prop_def(DictionaryAttr)
    addresses = opt_prop_def(I64S)
    coefficient_addresses = opt_prop_def(I64S)
    ys = var_result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$xs `tops` $tops $parameters (`extra` $extra^)? (`coefficients` $coefficients^)?"
        " (`at` $addresses^)? (`coefficients_at` $coefficient_addresses^)? attr-dict"
        " `:` functional-type($xs, $ys)"
    )

    def __init__(
        self,
        xs: Sequence[SSAValue],
        results: Sequence[Attribute],
        tops: Sequence[str],
        parameters: Values,
        *,
        extra: Sequence[int] = (),
        coefficients: Mapping[str, Array] | None = None,
    ) -> None:
        given = {name: ConstantAttr.of(array) for name, array in (coefficients or {}).items()}
        super().__init__(
            operands=[list(xs)],
            result_types=[list(results)],
            properties={
                "tops": ArrayAttr([StringAttr(top) for top in tops]),
                "parameters": self.RECORD.struct.attribute(parameters),
                "extra": i64s(extra) if extra else None,
                "coefficients": DictionaryAttr(given) if given else None,
            },
        )

    # -- what an op declares -----------------------------------------------------------------------

    @classmethod
    def sources(cls, v: Values, extra: Sequence[int]) -> list[Source]:
        """The operands in the order of the stream."""
        record = cls.RECORD
        return [
            *(Source(name, is_shape=name in record.shape_operands) for name in record.tensors),
            *(Source(n, True) for n, given in record.coefficients.items() if not given or v[given]),
        ]

    @classmethod
    @abstractmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        """The results' shapes for operands of these. Raises :class:`VerifyException` for shapes
        with which the firmware goes wrong."""

    @classmethod
    @abstractmethod
    def compute(cls, call: Call) -> list[Array]:
        """The results, as the firmware computes them: float32, int8 or uint8."""

    @classmethod
    def check(cls, v: Values) -> None:
        """Raises :class:`VerifyException` for parameters with which the firmware goes wrong."""

    @classmethod
    def extra_bytes(cls, extra: Sequence[int], sources: Sequence[Source]) -> bytes:
        """What stands between the parameter block and the operands."""
        return b""

    @classmethod
    def read_extra(cls, v: Values, words: Callable[[int], Sequence[int]]) -> tuple[int, ...]:
        """The opposite; ``words`` takes so many words from the stream."""
        return ()

    @classmethod
    def has_words(cls, v: Values) -> bool:
        """Whether a number of ``extra`` stands within each operand, behind its id."""
        return False

    # -- as an op ----------------------------------------------------------------------------------

    @property
    def values(self) -> dict[str, Any]:
        """The parameters by name."""
        return self.RECORD.struct.values(self.parameters)

    @property
    def numbers(self) -> tuple[int, ...]:
        """``extra`` as integers."""
        return () if self.extra is None else self.extra.get_values()

    @property
    def top_names(self) -> list[str]:
        """The names of the results."""
        return [name.data for name in self.tops.data]

    def constant(self, name: str) -> ConstantAttr:
        """A coefficient. Raises :class:`VerifyException` where it is not there."""
        found = None if self.coefficients is None else self.coefficients.data.get(name)
        if not isinstance(found, ConstantAttr):
            raise VerifyException(f"{self.name} lacks the coefficient {quoted(name)}")
        return found

    @property
    def constants(self) -> list[ConstantAttr]:
        """The coefficients in the order of the stream."""
        sources = self.sources(self.values, self.numbers)
        return [self.constant(source.name) for source in sources if source.is_coefficient]

    def place_results(self, addresses: Sequence[int]) -> None:
        """Sets where the results lie."""
        self.properties["addresses"] = i64s(addresses)

    def place_coefficients(self, addresses: Sequence[int]) -> None:
        """Sets where the coefficients lie, in the order of the stream."""
        self.properties["coefficient_addresses"] = i64s(addresses)

    def verify_(self) -> None:
        v, extra = self.values, self.numbers
        sources = self.sources(v, extra)
        given: set[str] = set() if self.coefficients is None else set(self.coefficients.data)
        expected = {source.name for source in sources if source.is_coefficient}
        require(given == expected, self, f"coefficients must be {sorted(expected)}")
        count = sum(not source.is_coefficient for source in sources)
        require(len(self.xs) == count, self, f"{len(self.xs)} operands, it takes {count}")
        require(len(self.ys) == len(self.tops) == 1, self, "it has one result, with a name")
        try:
            self.check(v)
            shapes = self.shapes(v, extra, [shape_of(x) for x in self.xs])
        except VerifyException as error:
            raise VerifyException(f"{self.name}: {error}") from None
        found = [shape_of(y) for y in self.ys]
        require(found == shapes, self, f"the results are {found}, the operands give {shapes}")
        tensors = [source for source in sources if not source.is_coefficient]
        for x, source in zip(self.xs, tensors, strict=True):
            require(is_shape(x) == source.is_shape, self, f"{source.name} holds another kind")
        for y in self.ys:
            require(is_shape(y) == self.RECORD.makes_shape, self, "the result holds another kind")


def require(condition: bool, op: RecordOp, message: str) -> None:
    """Raises :class:`VerifyException` with the op's name unless the condition holds."""
    if not condition:
        raise VerifyException(f"{op.name}: {message}")


def shape_of(value: SSAValue) -> Shape:
    """The shape of a tensor value."""
    return tensor_type(value).get_shape()


def is_float(value: SSAValue) -> bool:
    """Whether a tensor holds float32; the others have 8 bits."""
    return isinstance(tensor_type(value).element_type, Float32Type)


def needs(condition: bool, message: str) -> None:
    """Raises :class:`VerifyException` with the message unless the condition holds."""
    if not condition:
        raise VerifyException(message)


def is_shape(value: SSAValue) -> bool:
    """Whether a value is a shape, see :mod:`dialects.bm1684.record.shape_ops`."""
    return tensor_type(value).element_type == i32


def room(shape: Shape, is_float: bool) -> int:
    """Bytes of a tensor in memory: float32 1N, or 8 bits 4N."""
    n = shape[0] if is_float else -(-shape[0] // 4) * 4
    return prod((n, *shape[1:])) * (4 if is_float else 1)


def operand_room(xs: Sequence[Shape], ys: Sequence[Shape], is_float: bool) -> int:
    """Scratch memory of the size of the operand."""
    return room(xs[0], is_float)


def result_room(xs: Sequence[Shape], ys: Sequence[Shape], is_float: bool) -> int:
    """Scratch memory of the size of the result."""
    return room(ys[0], is_float)


# -- arithmetic of the firmware --------------------------------------------------------------------


def signed(x: Array, sign: int) -> Array:
    """8-bit numbers as int64, or floats as they are."""
    if x.dtype == np.float32:
        return x
    return x.view(np.int8 if sign else np.uint8).astype(np.int64)


def rounded(total: Array, shift: int) -> Array:
    """``(total + 2^(shift - 1)) >> shift``; no addition for a shift of 0."""
    return (total + (1 << shift >> 1)) >> shift


def eight_bits(total: Array, sign: int) -> Array:
    """Integers saturated to int8, or to uint8 without ``sign``."""
    low, high, kind = (-128, 127, np.int8) if sign else (0, 255, np.uint8)
    return np.clip(total, low, high).astype(kind)


def limited(y: Array, relu: int, limit: float) -> Array:
    """``max(y, 0)`` with ``relu``, also at most ``limit`` where that is positive."""
    if not relu:
        return y
    y = np.maximum(y, np.float32(0))
    return np.minimum(y, np.float32(limit)) if limit > 0 else y
