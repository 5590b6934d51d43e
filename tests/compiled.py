"""Modules compiled in memory, with the compare's findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import run_pipeline
from passes.verification.findings import Findings
from passes.verify_layers import VerifyLayersPass
from tests.pipelines import static_passes
from tests.random_nets import random_module


def compiled(
    module: ModuleOp,
    opt: int,
    precision: str,
    seed: int = 0,
    given: Mapping[str, Any] | None = None,
    **options: Any,
) -> Findings:
    """Compiles a ufw module in place and compares it, on the arrays ``given`` by name or made-up
    ones; nothing is raised for a difference. ``options`` are other fields of PassOptions."""
    passes = static_passes(opt, precision, verify=True, seed=seed, **options)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    verify.findings.fatal = False
    verify.data.arrays.update(given or {})
    run_pipeline(module, passes, lambda item: None)
    return verify.findings


def random_findings(seed: int, opt: int, precision: str) -> tuple[ModuleOp, Findings]:
    """A random network, compiled, and what the compare found."""
    module = random_module(seed, precision == "INT8")
    return module, compiled(module, opt, precision, seed)
