"""What the tests of both kinds of slices share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684.npu import CommandOp
from dialects.execute import execute
from dialects.quant import reference, types
from dialects.quant.base import PART
from passes.module.functions import main_function
from passes.verification.findings import Findings
from passes.verify_layers import VerifyLayersPass
from tests.pipelines import static_text


def lowered(module: ModuleOp, *passes: str) -> ModuleOp:
    run_pipeline(module, parse_pipeline(",".join(passes)), lambda p: None)
    return module


def sliced(module: ModuleOp) -> list[Operation]:
    """The layers that compute a part of their tensor."""
    return [op for op in module.walk() if PART in op.attributes]


def random_inputs(module: ModuleOp, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 256, types.shape_of(arg)).astype(types.dtype_of(arg))
        for arg in main_function(module).body.block.args
    ]


def results(module: ModuleOp, inputs: Sequence[Any]) -> list[Any]:
    return list(execute(main_function(module), inputs, reference.evaluate))


def compared(module: ModuleOp, integer: bool, item: str, with_options: str) -> Findings:
    """Compiles at opt level 2 with other options of one pass; the compare raises an error."""
    text = static_text(2, "INT8" if integer else "FP32", verify=True)
    passes = parse_pipeline(text.replace(item, with_options))
    run_pipeline(module, passes, lambda p: None)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    return verify.findings


def observed_parts(module: ModuleOp) -> set[str]:
    """The tensors that the compare puts together from parts, after the last pass."""
    commands = (op for op in module.walk() if isinstance(op, CommandOp))
    return {seen.top for op in commands for seen in op.observations if seen.parts}
