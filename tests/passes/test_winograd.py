"""Winograd: who gets it, what is reported of it, and the NPU computes its reference."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684.npu import CommandOp
from dialects.constant import ConstantAttr
from dialects.execute import names_of
from dialects.quant import types
from dialects.ufw import ops as ufw
from passes.module.functions import main_function
from passes.quant.quant_choose_winograd import REPORT
from passes.verify_layers import VerifyLayersPass
from tests.net_maker import NetMaker
from tests.pipelines import static_text
from tests.random_nets import finished


def network(
    shape: tuple[int, ...], integer: bool, kernel: int = 3, own: bool | None = None, layers: int = 2
) -> ModuleOp:
    """Convolutions one after the other."""
    net = NetMaker(Random(kernel), integer)
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    x = net.block.insert_arg(kind, 0)
    for _ in range(layers):
        channels = types.shape_of(x)[1]
        settings = net.coefficients((70, channels, kernel, kernel), 70, channels * kernel**2)
        weight = settings.pop("weight")
        if integer:
            weight //= 4
            settings["right_shift"] -= 2
        op = ufw.ConvolutionOp(
            x, net.top(False), weight, stride=[1, 1], pad=[1, 1], dilation=[1, 1], group=1,
            use_winograd=own, **settings,
        )  # fmt: skip
        net.add(op)
        x = op.results[0]
    return finished(net)


def run(
    module: ModuleOp, opt: int, integer: bool, use_wino: bool = False, share: int = 2
) -> list[str]:
    """Compiles and compares; returns what is reported of winograd."""
    text = static_text(opt, "INT8" if integer else "FP32", use_wino=use_wino, verify=True)
    passes = parse_pipeline(text.replace("share=2", f"share={share}"))
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    run_pipeline(module, passes, lambda item: None)
    assert verify.findings.ok, verify.findings.verdict()
    return names_of(main_function(module), REPORT)


def winograd_commands(module: ModuleOp) -> int:
    ops = main_function(module).body.block.ops
    return sum(op.instruction.values.get("opt_winograd", 0) for op in ops
               if isinstance(op, CommandOp))  # fmt: skip


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("shape", [(1, 64, 28, 15), (5, 70, 9, 8)])
def test_the_npu_computes_winograd(shape: tuple[int, ...], integer: bool, opt: int) -> None:
    module = network(shape, integer)
    lines = run(module, opt, integer, use_wino=True)
    assert [line.split(",")[0] for line in lines] == ["layer1: winograd", "layer2: winograd"]
    assert winograd_commands(module) >= 2


def test_an_image_cut_into_tiles_starts_them_at_even_rows() -> None:
    module = network((4, 66, 21, 30), True, layers=1)
    assert run(module, 1, True, use_wino=True, share=64)[0].startswith("layer1: winograd")
    assert winograd_commands(module) == 3


@pytest.mark.parametrize(("own", "flag", "expected"),
                         [(True, False, 2), (False, True, 0), (None, False, 0), (None, True, 2)])
def test_the_layer_wins_over_the_flag(own: bool | None, flag: bool, expected: int) -> None:
    module = network((4, 64, 12, 12), True, own=own)
    lines = run(module, 1, True, use_wino=flag)
    assert winograd_commands(module) == expected
    assert len(lines) == expected


def test_the_flag_leaves_out_what_is_not_faster() -> None:
    for shape in ((4, 3, 12, 12), (4, 16, 13, 5)):
        module = network(shape, True, layers=1)
        assert run(module, 1, True, use_wino=True) == []
        assert not winograd_commands(module)


def test_a_layer_that_cannot_says_why() -> None:
    lines = run(network((4, 64, 12, 12), True, kernel=5, own=True, layers=1), 1, True)
    assert lines == ["layer1: direct, winograd is for 3x3 kernels of stride, dilation and group 1"]


def test_a_layer_that_loses_too_much_stays_direct() -> None:
    module = network((4, 64, 12, 12), True, own=True, layers=1)
    (conv,) = (op for op in module.walk() if isinstance(op, ufw.ConvolutionOp))
    weight = np.sign(conv.weight.array.astype(np.int8))
    weight[:, 0] = 127  # its transforms leave the small ones no bits
    conv.weight = ConstantAttr.of(weight)
    (line,) = run(module, 1, True)
    assert line.startswith("layer1: direct, winograd's cosine 0.9")
    assert not winograd_commands(module)


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("integer", [False, True])
def test_a_window_over_the_whole_map(integer: bool, opt: int) -> None:
    """In many images it would be a product of matrices, had it the plain weights."""
    net = NetMaker(Random(1), integer)
    shape = (9, 64, 3, 3)
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    settings = net.coefficients((70, 64, 3, 3), 70, 64 * 9)
    weight = settings.pop("weight")
    if integer:
        weight //= 4
        settings["right_shift"] -= 2
    net.add(ufw.ConvolutionOp(
        net.block.insert_arg(kind, 0), net.top(False), weight, stride=[1, 1], pad=[0, 0],
        dilation=[1, 1], group=1, use_winograd=True, **settings,
    ))  # fmt: skip
    run(finished(net), opt, integer)
