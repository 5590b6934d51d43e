"""Host ops with inputs that are shapes or arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import test as xdsl_test
from xdsl.dialects.builtin import TensorType, f32, i32
from xdsl.ir import Attribute, SSAValue

from dialects.host.base import HostOp
from dialects.ufw.layer import Top

Array = NDArray[Any]
Shape = tuple[int, ...]
ELEMENTS: Mapping[str, Attribute] = {"f": f32, "i": i32}


def operand(shape: Shape, kind: str = "f") -> SSAValue:
    """A tensor from nowhere: kind f or i."""
    return xdsl_test.TestOp(result_types=[TensorType(ELEMENTS[kind], shape)]).results[0]


def op_of(
    layer: type[HostOp], parameters: Mapping[str, Any], shapes: Sequence[Shape], results: int = 1
) -> HostOp:
    """The op with inputs of these shapes, i32 where the layer says so."""
    operands = [operand(s, "i" if i in layer.LAYER.integers else "f")
                for i, s in enumerate(shapes)]  # fmt: skip
    op = layer(operands, [Top(f"top{i}") for i in range(results)], parameters)
    op.verify()
    return op


def computed(
    layer: type[HostOp], parameters: Mapping[str, Any], *inputs: Array, results: int = 1
) -> list[Array]:
    """What the op computes, in the shapes that the results have at most."""
    op = op_of(layer, parameters, [x.shape for x in inputs], results)
    return op.meaning(inputs)


def floats(*values: Any) -> Array:
    """A float32 array."""
    return np.array(values, np.float32)


def integers(*values: Any) -> Array:
    """An int32 array."""
    return np.array(values, np.int32)
