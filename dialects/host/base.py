"""What all host ops share: a layer that the runtime computes on the host's processor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DictionaryAttr, TensorType, f32, i32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import prop_def, traits_def, var_operand_def, var_result_def
from xdsl.traits import Pure

from dialects.c_struct import CStruct, Values
from dialects.ufw.layer import LayerOp, Top, shape_of, tensor_type
from dialects.ufw.shapes import Shape, checked, require, show

Array = NDArray[Any]
UNDEFINED_INT = -(2**31)
"""What an integer is that nothing has written; of floats it is NaN."""

DTYPES: Mapping[Attribute, type[np.generic]] = {f32: np.float32, i32: np.int32}


@dataclass(frozen=True)
class HostLayer:
    """What the host library knows of a layer.

    ``number`` is the operation's number in the bmodel (CpuParam.op_type), ``struct`` its parameters
    (CpuParam.binary_param). ``inputs`` and ``outputs`` are in their order; the last ``optional`` of
    the inputs may be left out, and the last ``optional_outputs``. ``integers`` are the inputs that
    hold i32, by their position: nothing converts. ``rows`` has the axis of an input along which
    the layer sees only what is defined: the runtime hands on actual shapes from host layer to host
    layer. ``is_detection``: the result is rows of image, label, score and four coordinates: left,
    top, right, bottom, or ``centred`` centre x, y, width, height. ``varies``: there may be less of
    a result than declared.
    """

    number: int
    struct: CStruct
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ("output",)
    optional: int = 0
    optional_outputs: int = 0
    integers: tuple[int, ...] = ()
    rows: Mapping[int, int] = field(default_factory=dict[int, int])
    is_detection: bool = False
    centred: bool = False
    varies: bool = False


class HostOp(LayerOp, ABC):
    """A layer that the runtime's host library computes, from float32 (or int32) NCHW arrays.

    ``LAYER`` declares it, ``parameters`` holds the values of its struct. A result has the shape
    that it has at most. What the layer then leaves unwritten, as it finds fewer boxes, is
    undefined: NaN, or UNDEFINED_INT.
    """

    LAYER: ClassVar[HostLayer]

    bottoms = var_operand_def(TensorType)
    results_ = var_result_def(TensorType)
    parameters = prop_def(DictionaryAttr)

    traits = traits_def(Pure())
    assembly_format = (
        "$bottoms `tops` $tops $parameters attr-dict `:` functional-type($bottoms, $results_)"
    )

    def __init__(
        self, operands: Sequence[SSAValue], tops: Sequence[Top], parameters: Values
    ) -> None:
        attribute = self.LAYER.struct.attribute(parameters)
        kinds = self.kinds(parameters, len(tops))
        drafts = [Top(t.name, k, t.scale if k == f32 else None)
                  for t, k in zip(tops, kinds, strict=True)]  # fmt: skip
        self.setup([list(operands)], drafts, {"parameters": attribute}, variadic=True)

    # -- what an op declares -----------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        """The largest shapes that the results can have; the first ones of ``OUTPUTS`` count where
        there are fewer results. Raises :class:`VerifyException` for inputs that do not fit."""

    @classmethod
    @abstractmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        """The results in numpy, with the shapes that they really have."""

    @classmethod
    def kinds(cls, p: Values, results: int) -> list[Attribute]:
        """The element types of the results, f32 or i32."""
        return [f32] * results

    @classmethod
    def check(cls, p: Values) -> None:
        """Raises :class:`VerifyException` for parameters with which the host library is wrong."""

    # -- as a layer --------------------------------------------------------------------------------

    @property
    def values(self) -> dict[str, Any]:
        """The parameters by name."""
        return self.LAYER.struct.values(self.parameters)

    @property
    def note(self) -> str | None:
        """A remark for the user: where the host library does less than the settings ask for."""
        return None

    @property
    def packed(self) -> bytes:
        """The parameters as the struct's bytes."""
        return self.LAYER.struct.pack(self.values)

    @property
    def varies(self) -> bool:
        """Whether there may be less of its results than their types say."""
        makers = [self.operands[i].owner for i in self.LAYER.rows if i < len(self.operands)]
        passed_on = any(isinstance(op, HostOp) and op.varies for op in makers)
        return self.LAYER.varies or self.LAYER.is_detection or passed_on

    def made_up(self, index: int, rng: np.random.Generator) -> Array | None:
        """A usual value of an operand that is an input of the network, for runs on made-up inputs;
        None where any numbers will do."""
        return None

    def infer_shapes(self) -> list[Shape]:
        values = self.values
        self.check(values)
        most, given = len(self.LAYER.inputs), len(self.operands)
        require(
            most - self.LAYER.optional <= given <= most,
            f"{given} inputs, it takes {', '.join(self.LAYER.inputs)}",
        )
        found = self.shapes(values, [shape_of(x) for x in self.operands])
        most, made = len(self.LAYER.outputs), len(self.results)
        require(
            most - self.LAYER.optional_outputs <= made <= most,
            f"{made} results, it makes {', '.join(self.LAYER.outputs)}",
        )
        return found[:made]

    def verify_(self) -> None:
        require(len(self.tops.data) == len(self.results), "a name for each result is required")
        for value in (*self.operands, *self.results):
            checked(shape_of(value))
        for i, value in enumerate(self.operands):
            wanted, found = i in self.LAYER.integers, tensor_type(value).element_type
            require(
                wanted == (found == i32),
                f"{self.LAYER.inputs[i]} holds {found}, i32 is {'' if wanted else 'not '}required:"
                " the runtime hands on the bits as they are",
            )
        for result, kind in zip(
            self.results, self.kinds(self.values, len(self.results)), strict=True
        ):
            found = tensor_type(result).element_type
            require(found == kind, f"its result holds {kind}, not {found}")
        for result, shape in zip(self.results, self.infer_shapes(), strict=True):
            require(
                shape_of(result) == shape,
                f"the result is {show(shape_of(result))}, its inputs give {show(shape)}",
            )

    def meaning(self, inputs: Sequence[Array]) -> list[Array]:
        return self.run(self.packed, inputs, [shape_of(x) for x in self.results])

    @classmethod
    def run(cls, params: bytes, inputs: Sequence[Array], shapes: Sequence[Shape]) -> list[Array]:
        """What the host computes from a bmodel's parameters: the results in arrays of these
        shapes, padded with what is undefined. Raises ValueError where inputs do not fit."""
        values = cls.LAYER.struct.unpack(params)
        rows = cls.LAYER.rows
        seen = [rows_of(x, rows[i]) if i in rows else x for i, x in enumerate(inputs)]
        with np.errstate(all="ignore"):
            found = cls.compute(values, seen, len(shapes))
        kinds = cls.kinds(values, len(shapes))
        made = [np.asarray(x, DTYPES[kind]) for x, kind in zip(found, kinds, strict=True)]
        return [padded(x, shape) for x, shape in zip(made, shapes, strict=True)]


def undefined(array: Array) -> Array:
    """Where an array holds what nothing has written."""
    if array.dtype.kind == "f":
        return np.isnan(array)
    return array == UNDEFINED_INT


def padded(array: Array, shape: Shape) -> Array:
    """An array in one of a shape that is nowhere smaller; the rest is undefined."""
    if array.shape == tuple(shape):
        return array
    if array.ndim != len(shape) or any(a > b for a, b in zip(array.shape, shape, strict=True)):
        raise ValueError(f"a result of {show(array.shape)} where {show(shape)} is declared")
    filler = np.nan if array.dtype.kind == "f" else UNDEFINED_INT
    whole = np.full(shape, filler, array.dtype)
    whole[tuple(map(slice, array.shape))] = array
    return whole


def rows_of(array: Array, axis: int) -> Array:
    """The part of an array that is defined, along an axis."""
    rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
    missing: Array = np.all(undefined(rows), axis=1)
    count = int(missing.argmax()) if missing.any() else len(rows)
    return np.take(array, range(count), axis)


def defined_part(array: Array) -> Array:
    """The result that is really there: an array without what is undefined behind it."""
    missing = undefined(array)
    if not missing.any():
        return array
    ends = [
        int(np.flatnonzero(~np.moveaxis(missing, axis, 0).reshape(extent, -1).all(axis=1)).max(
            initial=-1)) + 1
        for axis, extent in enumerate(array.shape)
    ]  # fmt: skip
    return array[tuple(map(slice, ends))]


def filled(array: Array) -> Array:
    """An array with 0 where it is undefined."""
    return np.where(undefined(array), np.zeros((), array.dtype), array)
