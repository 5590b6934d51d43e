"""Spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from xdsl.dialects.builtin import I64, IntegerAttr
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def, traits_def
from xdsl.traits import Pure

from dialects.ufw import shapes
from dialects.ufw.facts import Array, CarriesOn, FloatArray, FollowsOperand
from dialects.ufw.layer import Top, UnaryLayerOp, shape_of
from dialects.ufw.pooling import PoolingKind, PoolingKindAttr
from dialects.ufw.shapes import Shape, require, show
from dialects.ufw.windows import average_divisors, pool

Pair = tuple[int, int]
MOST_LEVELS = 12


@irdl_op_definition
class SPPOp(UnaryLayerOp):
    """Poolings of a map into 1, 4, 16 ... bins, one after the other as one row of numbers.

    Level i has 2^i x 2^i bins; its kernel and stride are ``ceil(H / 2^i)``, its pad half of what
    they reach beyond the map, rounded up. Result: [N, C (1 + 4 + ... + 4^(levels - 1))]. Divisors
    as in ``ufw.pooling``.
    """

    name = "ufw.spp"

    kind = prop_def(PoolingKindAttr)
    levels = prop_def(IntegerAttr[I64])

    traits = traits_def(Pure(), FollowsOperand(), CarriesOn())
    assembly_format = (
        "$kind $tops $bottom `levels` $levels attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, kind: PoolingKind, levels: int) -> None:
        self.setup([bottom], [top], {"kind": PoolingKindAttr(kind), "levels": levels})

    def infer_shapes(self) -> list[Shape]:
        bottom, levels = shape_of(self.bottom), self.levels.value.data
        require(len(bottom) == 4, f"it requires an N x C x H x W tensor, has {show(bottom)}")
        require(1 <= levels <= MOST_LEVELS, f"{levels} levels; 1 to {MOST_LEVELS} can be compiled")
        for bins, kernel, pad in self.windows():
            fits = all(p < k for p, k in zip(pad, kernel, strict=True))
            require(fits, f"a map of {show(bottom[2:])} has no {bins} x {bins} bins")
        return [shapes.checked((bottom[0], bottom[1] * sum(4**i for i in range(levels))))]

    def windows(self) -> Iterator[tuple[int, Pair, Pair]]:
        """Bins along an axis, kernel (and stride) and pad, (h, w), of each level."""
        for level in range(self.levels.value.data):
            bins = 2**level
            kernel, pad = zip(*(_window(size, bins) for size in shape_of(self.bottom)[2:]),
                              strict=True)  # fmt: skip
            yield bins, kernel, pad

    @property
    def has_integers(self) -> bool:
        return True

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        x = inputs[0]
        largest = self.kind.data == PoolingKind.MAX
        ufunc, empty = (np.maximum, -np.inf) if largest else (np.add, 0.0)
        rows: list[Array] = []
        for bins, kernel, (ph, pw) in self.windows():
            y = pool(x, ufunc, empty, (bins, bins), kernel, kernel, (ph, ph, pw, pw))
            if not largest:
                h, w = (
                    average_divisors(size, bins, k, k, (p, p))
                    for size, k, p in zip(x.shape[2:], kernel, (ph, pw), strict=True)
                )
                y = y / (h[:, None] * w)
            rows.append(y.reshape(len(x), -1))
        return [np.concatenate(rows, axis=1)]


def _window(size: int, bins: int) -> Pair:
    kernel = -(-size // bins)
    return kernel, (kernel * bins - size + 1) // 2
