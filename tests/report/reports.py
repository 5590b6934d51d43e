"""Reports of small networks, and what they hold."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import bmnetu
from bmnetu.report.result import CompileResult
from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from passes.image.program import Program
from passes.module.functions import npu_functions
from passes.module.locations import layer_name
from passes.verify_layers import VerifyLayersPass, verify_program
from tests.networks import random_weights

HOSTILE = "</script><script>alert(1)</script><!-- ${title} &amp; \u2028"
"""A layer's name."""
NET = f"""
name: "net"
input: "data"
input_shape {{ dim: 1 dim: 16 dim: 12 dim: 12 }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 32 kernel_size: 3 pad: 1 }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "relu" }}
layer {{ name: "{HOSTILE}" type: "Pooling" bottom: "relu" top: "<img src=x>"
  pooling_param {{ kernel_size: 2 stride: 2 }} }}
layer {{ name: "branch" type: "Convolution" bottom: "<img src=x>" top: "branch"
  convolution_param {{ num_output: 32 kernel_size: 1 }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "branch" bottom: "<img src=x>" top: "sum" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "sum" top: "fc"
  inner_product_param {{ num_output: 10 }} }}
"""
SMALL_THRESHOLD = 0.5
LAYERS = ("conv", "relu", HOSTILE, "branch", "sum", "fc")


def files(folder: Path, text: str = NET) -> tuple[Path, Path]:
    """A prototxt, and random weights."""
    model, weight = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(text)
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    return model, weight


def compiled(folder: Path, text: str = NET, **flags: Any) -> tuple[CompileResult, Path]:
    """A compiled network and its report."""
    page = folder / "pages" / "report.html"
    result = bmnetu.compile(*files(folder, text), folder / "out", report_file=page, **flags)
    return result, page


def calibrated(folder: Path, **flags: Any) -> Path:
    """The report of a calibration; the prototxt gives a blob a threshold that is far too small."""
    samples = np.random.default_rng(0).standard_normal((8, 16, 12, 12)).astype(np.float32)
    np.savez(folder / "data.npz", allow_pickle=False, data=samples)
    page = folder / "report.html"
    flags.setdefault("th_method", "KL")
    small = f'bottom: "conv" top: "relu" threshold: {SMALL_THRESHOLD}'
    model, weight = files(folder, NET.replace('bottom: "conv" top: "relu"', small))
    bmnetu.calibrate(model, weight, folder / "data.npz", folder / "out", report_file=page,
                     **flags)  # fmt: skip
    return page


@contextmanager
def wrong_weight(layer: str) -> Generator[None]:
    """While it lasts, the compare runs commands with one wrong weight of a layer."""

    def compare(self: VerifyLayersPass, module: ModuleOp) -> None:
        program = Program.of(module)
        coeff = bytearray(program.coeff)
        ops = (op for function in npu_functions(module) for op in function.body.block.ops)
        at = next(op.located for op in ops
                  if isinstance(op, tile.ConstantOp) and layer_name(op) == layer)  # fmt: skip
        coeff[at - BM1684.context_start + 3] ^= 1 << 6
        changed = replace(program, coeff=bytes(coeff))
        verify_program(module, changed, self.findings, self.data, self.seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VerifyLayersPass, "compare", compare)
        yield


def failed(folder: Path, layer: str = "branch") -> tuple[bmnetu.CompareError, Path]:
    """A compilation whose compare fails in a layer, and its report."""
    page = folder / "report.html"
    model, weight = files(folder)
    with wrong_weight(layer), pytest.raises(bmnetu.CompareError) as caught:
        bmnetu.compile(model, weight, folder / "out", opt=0, report_file=page)
    return caught.value, page


def data_of(page: Path) -> dict[str, Any]:
    """The values that the page's scripts read."""
    text = page.read_text("utf-8")
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def verdict_of(page: Path) -> str:
    """The first section as text."""
    text = page.read_text("utf-8")
    found = re.search(r'<section id="verdict".*?<noscript>', text, re.DOTALL)
    assert found is not None
    return html.unescape(re.sub(r"<[^>]*>", " ", found[0]))
