"""A network of one quant op between ReLUs, compiled at any opt level and compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684 import tile
from dialects.constant import ConstantAttr
from dialects.quant import compute, types
from dialects.quant.base import QuantOp, int_attr
from passes.verify_layers import VerifyLayersPass
from tests.pipelines import static_text

SCALE = 0.05


def tensor(shape: Sequence[int], kind: str) -> Attribute:
    """A tensor type: "f32", "si8" or "ui8"."""
    if kind == "f32":
        return types.float_tensor(shape)
    return types.int_tensor(shape, SCALE, kind == "ui8")


def check(
    op_type: type[QuantOp],
    operands: Sequence[Attribute],
    results: Sequence[Attribute],
    opt: int,
    /,
    **properties: Attribute,
) -> ModuleOp:
    """Compiles the op between ReLUs of each operand and result; the model must equal the
    reference. Returns the module as tile-keep-local, or the pass before it, left it."""
    block = Block(arg_types=operands)
    before = [_relu(arg, f"x{i}") for i, arg in enumerate(block.args)]
    xs = [relu.results[0] for relu in before]
    names = ArrayAttr([StringAttr(f"y{i}") for i in range(len(results))])
    op = op_type.create(
        operands=xs, result_types=results, properties={"tops": names, **properties}
    )
    after = [_relu(y, f"z{i}") for i, y in enumerate(op.results)]
    block.add_ops([*before, op, *after, ReturnOp(*(relu.results[0] for relu in after))])
    function = FuncOp("main", FunctionType.from_lists(operands, results), Region(block))
    inputs = [StringAttr(f"in{i}") for i in range(len(operands))]
    outputs = [StringAttr(f"z{i}") for i in range(len(results))]
    function.attributes |= {"input_names": ArrayAttr(inputs), "output_names": ArrayAttr(outputs)}
    module = ModuleOp([function])
    module.verify()
    precision = "FP32" if types.is_float(operands[0]) else "INT8"
    text = static_text(opt, "INT8" if precision == "FP32" else precision, verify=True)
    passes = parse_pipeline(text[text.index("keep-reference") :])
    kept: list[ModuleOp] = []

    def keep(item: object) -> None:
        if getattr(item, "name", "") in ("convert-quant-to-tile", "tile-keep-local"):
            kept[:] = [module.clone()]

    run_pipeline(module, passes, keep)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    assert verify.findings.ok, verify.findings.verdict()
    return kept[0]


def _relu(value: SSAValue, name: str) -> QuantOp:
    dtype = np.float32 if types.is_float(value) else np.int8
    return compute.PReluOp.create(
        operands=[value], result_types=[value.type],
        properties={
            "tops": ArrayAttr([StringAttr(name)]),
            "slope": ConstantAttr.of(np.full(1, 1, dtype)),
            "shift": int_attr(0), "multiplier": int_attr(1), "multiplier_shift": int_attr(0),
        },
    )  # fmt: skip


def transfers(module: ModuleOp) -> int:
    """Loads and stores, and copies in DDR, beside those of the network's inputs and outputs."""
    borders = [op for op in module.walk() if isinstance(op, (tile.InputOp, tile.OutputOp))]
    found = [op for op in module.walk() if isinstance(op, tile.TransferOp)]
    return len(found) - len(borders)
