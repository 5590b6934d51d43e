"""Between the floats of the NPU and the integers of host layers."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import TensorType, f32, i32
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def, traits_def
from xdsl.traits import Pure

from dialects.quant.pointwise import as_float, as_index
from dialects.ufw.facts import Array
from dialects.ufw.layer import LayerOp, Top, shape_of, tensor_type
from dialects.ufw.shapes import Shape, checked, require


@irdl_op_definition
class CastOp(LayerOp):
    """Whole numbers from 0 to 2^23 - 1 as int32, or as float32: the indices that host layers make
    and read, and the numbers of the NPU's layers. To int32 others become the nearest of these.
    """

    name = "ufw.cast"

    bottom = operand_def(TensorType)
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = "$tops $bottom attr-dict `:` functional-type(operands, results)"

    def __init__(self, bottom: SSAValue, top: Top, to_integers: bool) -> None:
        made = Top(top.name, i32) if to_integers else top
        self.setup([bottom], [made], {})

    @property
    def to_integers(self) -> bool:
        """Whether the result is int32."""
        return tensor_type(self.top).element_type == i32

    def infer_shapes(self) -> list[Shape]:
        return [shape_of(self.bottom)]

    def verify_(self) -> None:
        require(len(self.tops.data) == 1, "one top name for one result")
        read, made = (tensor_type(x).element_type for x in (self.bottom, self.top))
        if self.to_integers:
            require(read != i32, "a Cast to INT32 of integers: leave it out")
        else:
            require(read == i32, "a Cast to FLOAT requires the integers of a host layer")
            require(made == f32, f"its result is f32, not {made}")
            require(
                not getattr(self.bottom.owner, "varies", False),
                "a host layer that finds as much as there is cannot be read by the NPU: make what"
                " it finds an output of the network",
            )
        require(checked(shape_of(self.top)) == shape_of(self.bottom), "keeps the shape")

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def meaning(self, inputs: Sequence[Array]) -> list[Array]:
        return [as_index(inputs[0]) if self.to_integers else as_float(inputs[0])]

