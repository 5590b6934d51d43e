"""Modules compiled in memory, with the compare's findings."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import run_pipeline
from passes.verification.findings import Findings
from passes.verify_layers import VerifyLayersPass
from tests.pipelines import static_passes
from tests.random_nets import random_module


def compiled(module: ModuleOp, opt: int, precision: str, seed: int = 0) -> Findings:
    """Compiles a ufw module in place and compares it; nothing is raised for a difference."""
    passes = static_passes(opt, precision, verify=True, seed=seed)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    verify.findings.fatal = False
    run_pipeline(module, passes, lambda item: None)
    return verify.findings


def random_findings(seed: int, opt: int, precision: str) -> tuple[ModuleOp, Findings]:
    """A random network, compiled, and what the compare found."""
    module = random_module(seed, precision == "INT8")
    return module, compiled(module, opt, precision, seed)
