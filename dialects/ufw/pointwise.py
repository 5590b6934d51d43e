"""UFW layers that compute without coefficients: activations, Pooling, Eltwise, Softmax."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    I64,
    BoolAttr,
    DenseArrayBase,
    Float32Type,
    FloatAttr,
    IntegerAttr,
    TensorType,
    f32,
    i64,
)
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute, SSAValue
from xdsl.irdl import (
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.function_properties import FunctionProperties, function_properties
from dialects.ufw import shapes
from dialects.ufw.layer import LayerOp, Top, UnaryLayerOp, pairs, shape_of
from dialects.ufw.shapes import Shape, four_pads, require

PLAIN_FORMAT = "$tops $bottom attr-dict `:` functional-type(operands, results)"


class PoolingKind(StrEnum):
    MAX = "max"
    AVERAGE = "average"


class EltwiseOperation(StrEnum):
    SUM = "sum"
    PRODUCT = "product"
    MAX = "max"


@irdl_attr_definition
class PoolingKindAttr(EnumAttribute[PoolingKind], SpacedOpaqueSyntaxAttribute):
    name = "ufw.pooling_kind"


@irdl_attr_definition
class EltwiseOperationAttr(EnumAttribute[EltwiseOperation], SpacedOpaqueSyntaxAttribute):
    name = "ufw.eltwise_operation"


@irdl_op_definition
class ReLUOp(UnaryLayerOp):
    """``y = x if x > 0 else negative_slope * x``; with ``upper``, ``min(max(x, 0), upper)``."""

    name = "ufw.relu"

    negative_slope = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(0.0, f32))
    upper = opt_prop_def(FloatAttr[Float32Type])

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom (`negative_slope` $negative_slope^)? (`upper` $upper^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self, bottom: SSAValue, top: Top, negative_slope: float = 0.0, upper: float | None = None
    ) -> None:
        limit = None if upper is None else float(upper)
        self.setup([bottom], [top], {"negative_slope": float(negative_slope), "upper": limit})

    def verify_layer(self) -> None:
        if self.upper is not None:
            plain = self.negative_slope.value.data == 0 and self.upper.value.data > 0
            require(plain, "an upper limit must be positive, and goes with a negative_slope of 0")


@irdl_op_definition
class PointwiseOp(FunctionProperties, UnaryLayerOp):
    """A function of :mod:`dialects.functions` of every number: Sigmoid, TanH, Power ..."""

    name = "ufw.pointwise"
    traits = traits_def(Pure())
    assembly_format = (
        "$function $tops $bottom (`with` $parameters^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, function: str, **parameters: float) -> None:
        self.setup([bottom], [top], function_properties(function, parameters))

    def verify_layer(self) -> None:
        _ = self.settings  # raises for an unknown function or parameter


@irdl_op_definition
class DropoutOp(UnaryLayerOp):
    """``y = x``: at inference a dropout does nothing."""

    name = "ufw.dropout"
    traits = traits_def(Pure())
    assembly_format = PLAIN_FORMAT

    def __init__(self, bottom: SSAValue, top: Top) -> None:
        self.setup([bottom], [top], {})


@irdl_op_definition
class SoftmaxOp(UnaryLayerOp):
    """``y = exp(x - max) / sum(exp(x - max))`` along ``axis``."""

    name = "ufw.softmax"

    axis = prop_def(IntegerAttr[I64], default_value=IntegerAttr(1, i64))

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom (`axis` $axis^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, axis: int = 1) -> None:
        self.setup([bottom], [top], {"axis": axis})

    def verify_layer(self) -> None:
        shapes.check_axis(self.axis.value.data, len(shape_of(self.bottom)))


@irdl_op_definition
class PoolingOp(UnaryLayerOp):
    """Maximum or average over windows; kernel and stride are (h, w), pad is top, bottom, left,
    right (or h, w).

    Result, with ``ceil_mode`` (Caffe's rule): ``ceil((H + top + bottom - k) / stride) + 1``, less
    one when the last window would begin in the padding at the end. Without it, rounded down.
    Maximum ignores padding. Average divides by the window's size clipped to the padded input
    (H + bottom), so padding at the start and up to ``bottom`` at the end counts. Global pooling has
    the kernel of the whole map; a kernel larger than the padded input has one window.
    """

    name = "ufw.pooling"

    kind = prop_def(PoolingKindAttr)
    kernel = prop_def(DenseArrayBase.constr(i64))
    stride = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))
    pad = prop_def(DenseArrayBase.constr(i64), default_value=pairs((0, 0, 0, 0)))
    ceil_mode = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))

    traits = traits_def(Pure())
    assembly_format = (
        "$kind $tops $bottom `kernel` $kernel (`stride` $stride^)? (`pad` $pad^)? "
        "(`ceil` $ceil_mode^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        kind: PoolingKind,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        pad: Sequence[int] = (0, 0),
        ceil_mode: bool = True,
    ) -> None:
        settings = {
            "kind": PoolingKindAttr(kind), "kernel": kernel, "stride": stride,
            "pad": four_pads(pad), "ceil_mode": ceil_mode,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape = shapes.pooling(
            shape_of(self.bottom),
            self.kernel.get_values(),
            self.stride.get_values(),
            self.pad.get_values(),
            self.ceil_mode.value.data != 0,
        )
        return [shape]


@irdl_op_definition
class EltwiseOp(LayerOp):
    """Sum, product or maximum of two or more tensors of one shape.

    ``coefficients``, one an input, multiply the inputs of a sum; without them all are 1.
    """

    name = "ufw.eltwise"

    bottoms = var_operand_def(TensorType)
    operation = prop_def(EltwiseOperationAttr)
    coefficients = opt_prop_def(DenseArrayBase.constr(f32))
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$operation $tops $bottoms (`coefficients` $coefficients^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottoms: Sequence[SSAValue],
        top: Top,
        operation: EltwiseOperation,
        coefficients: Sequence[float] | None = None,
    ) -> None:
        settings = {
            "operation": EltwiseOperationAttr(operation),
            "coefficients": coefficients and [float(c) for c in coefficients],
        }
        self.setup([bottoms], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        return [shapes.eltwise([shape_of(bottom) for bottom in self.bottoms])]

    def verify_layer(self) -> None:
        if self.coefficients is None:
            return
        require(self.operation.data is EltwiseOperation.SUM, "only a sum has coefficients")
        require(
            len(self.coefficients) == len(self.bottoms),
            f"{len(self.coefficients)} coefficient(s) for {len(self.bottoms)} inputs",
        )
