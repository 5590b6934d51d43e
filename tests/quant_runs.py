"""Passes on a module, and what its quant ops compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.execute import execute
from dialects.quant import reference, types
from passes.module.functions import main_function
from passes.verification.inputs import random_inputs


def run(module: ModuleOp, text: str) -> ModuleOp:
    """The module itself, after the passes of a pipeline's text; it is verified."""
    run_pipeline(module, parse_pipeline(text))
    module.verify()
    return module


def evaluated(module: ModuleOp) -> Sequence[NDArray[Any]]:
    """The outputs of the main function, of quant ops, on random inputs."""
    function = main_function(module)
    kinds = [(types.shape_of(x), types.dtype_of(x)) for x in function.body.block.args]
    return execute(function, random_inputs(kinds, 3), reference.evaluate)
