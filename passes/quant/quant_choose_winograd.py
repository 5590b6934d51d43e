"""quant-choose-winograd: 3x3 convolutions by F(2x2, 3x3), where asked for and near enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, BoolAttr, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from dialects.bm1684.chip import BM1684
from dialects.constant import ConstantAttr
from dialects.execute import execute
from dialects.meaning import evaluate
from dialects.quant import types, winograd
from dialects.quant.base import int_attr, ints
from dialects.quant.compute import ConvOp
from passes.base import NpuFunctionPass
from passes.cost.conv import on_strips
from passes.module.functions import named_inputs
from passes.module.locations import layer_name
from passes.verification.inputs import InputData, InputTensor

Array = NDArray[Any]

REPORT = "winograd"
"""The function's attribute with a line for every layer that was looked at."""
LEAST_COSINE = 0.999
LARGEST_ERROR = 2.5e-4
"""Of a float result, relative to max(1, |direct|): a quarter of what the compare allows."""
LARGEST_PAD = 1
FEW_CHANNELS = 16
"""Below, opt 2 folds taps into channels, which is faster still."""
LARGEST_SIDE = 2047
"""Rows and columns of a padded input that the command takes."""


def is_candidate(op: ConvOp, everywhere: bool) -> bool:
    """Whether a layer is to be winograd: by its own option, or by that for all where faster."""
    own = op.use_winograd
    return everywhere and _is_faster(op) if own is None else bool(own.value.data)


def obstacle(op: ConvOp) -> str | None:
    """Why a convolution cannot be winograd."""
    _, _, height, width = types.shape_of(op.x)
    top, bottom, left, right = pads = ints(op.pad)
    if op.kernel != (3, 3) or {*ints(op.stride), *ints(op.dilation), op.group.value.data} != {1}:
        return "winograd is for 3x3 kernels of stride, dilation and group 1"
    if max(pads) > LARGEST_PAD or op.weight.shape[1] > BM1684.limits.channels:
        return "winograd is for a padding of at most 1 and at most 4095 channels"
    if max(height + top + bottom, width + left + right) > LARGEST_SIDE:
        return f"winograd is for at most {LARGEST_SIDE} rows and columns"
    return None


def _is_faster(op: ConvOp) -> bool:
    """By the engine that takes longer; the transformed weights are 16/9 as many."""
    if obstacle(op) is not None:
        return False
    direct = replace(on_strips(op), winograd=False)
    if direct.channels < FEW_CHANNELS:
        return False
    forms = (replace(direct, winograd=True), direct)
    winograd_cycles, direct_cycles = (max(x.cycles(), x.load_cycles()) for x in forms)
    return winograd_cycles < direct_cycles


def transformed(op: ConvOp) -> ConvOp | None:
    """The convolution as winograd; None when its integers leave no space."""
    weight, changes = op.weight.array, dict[str, Attribute](winograd=BoolAttr.from_bool(True))
    if types.is_float(op.x):
        changes["weight"] = ConstantAttr.of(winograd.transform(weight).astype(np.float32))
    else:
        bias = None if op.bias is None else op.bias.array
        found = winograd.integers(weight, bias, op.shift.value.data)
        if found is None:
            return None
        changes |= {"weight": ConstantAttr.of(found.weight), "shift": int_attr(found.shift)}
        if found.bias is not None:
            changes["bias"] = ConstantAttr.of(found.bias)
    new = op.clone()
    new.location = op.location
    new.use_winograd = None
    new.properties.update(changes)
    return new


@dataclass
class _Trial:
    """A run of the network in which every candidate is computed both ways."""

    candidates: set[Operation]
    chosen: dict[ConvOp, ConvOp] = field(default_factory=dict[ConvOp, ConvOp])
    lines: list[str] = field(default_factory=list[str])

    def evaluate(self, op: Operation, inputs: Sequence[Array]) -> Sequence[Array]:
        raw = _evaluate(op, inputs)
        direct = [_where_defined(array, array) for array in raw]
        if not isinstance(op, ConvOp) or op not in self.candidates:
            return direct
        reason, new = obstacle(op), None
        if reason is None:
            new = transformed(op)
            reason = None if new is not None else "its coefficients leave no space for winograd's"
        if new is None:
            self.lines.append(f"{layer_name(op)}: direct, {reason}")
            return direct
        found = [_where_defined(a, b) for a, b in zip(_evaluate(new, inputs), raw, strict=True)]
        near, words = _compare(found[0], direct[0])
        if not near:
            new.erase()
            self.lines.append(f"{layer_name(op)}: direct, winograd's {words} is not near enough")
            return direct
        self.lines.append(f"{layer_name(op)}: winograd, {words}")
        self.chosen[op] = new
        return found


def _evaluate(op: Operation, inputs: Sequence[Array]) -> Sequence[Array]:
    with np.errstate(all="ignore"):
        return evaluate(op, inputs)


def _where_defined(array: Array, direct: Array) -> Array:
    """The numbers, with zeros where the direct form has none that is finite: the made-up input
    lies outside of a layer's domain there. The layers behind go on with these."""
    finite = np.isfinite(direct)
    return array if finite.all() else np.where(finite, array, 0).astype(array.dtype)


def _compare(got: Array, expected: Array) -> tuple[bool, str]:
    """Whether a result is near enough to the direct form's, and how near it is."""
    a, b = got.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    cosine = float(a @ b) / norm if norm else float(np.array_equal(a, b))
    near, words = cosine >= LEAST_COSINE, f"cosine {cosine:.6f}"
    if got.dtype == np.float32:
        error = float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)), initial=0.0))
        return bool(near and error <= LARGEST_ERROR), f"{words}, largest error {error:.2g}"
    return bool(near), words


@dataclass(frozen=True)
class QuantChooseWinogradPass(NpuFunctionPass):
    """Replaces convolutions whose ``use_winograd`` is true, or (with ``everywhere``) all others
    that are faster so, by their winograd form.

    Both forms are computed on ``data``, else on made-up inputs; a layer whose cosine falls below
    0.999, or whose float error grows too large, stays direct. The function's attribute
    ``winograd`` has a line of each.
    """

    name = "quant-choose-winograd"
    level = "quant"

    everywhere: bool = False
    seed: int = 0
    data: InputData = field(default_factory=InputData, init=False, compare=False, repr=False)

    def apply_to(self, function: FuncOp) -> None:
        convolutions = [inner for inner in function.body.block.ops if isinstance(inner, ConvOp)]
        candidates: set[Operation] = {c for c in convolutions if is_candidate(c, self.everywhere)}
        if candidates:
            self._replace(function, candidates)
        for inner in function.body.block.ops:
            if isinstance(inner, ConvOp):
                inner.use_winograd = None

    def _replace(self, function: FuncOp, candidates: set[Operation]) -> None:
        block = function.body.block
        tensors = [
            InputTensor(
                name, types.shape_of(arg), np.dtype(types.dtype_of(arg)), types.scale_of(arg)
            )
            for arg, name in named_inputs(function)
        ]
        trial = _Trial(candidates)
        execute(function, self.data.of(tensors, self.seed), trial.evaluate)
        for old, new in trial.chosen.items():
            block.insert_op_before(new, old)
            old.y.replace_all_uses_with(new.y)
            old.detach()
            old.erase()
        function.attributes[REPORT] = ArrayAttr([StringAttr(line) for line in trial.lines])
