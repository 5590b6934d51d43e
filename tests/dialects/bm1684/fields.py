"""Field values for tests: addresses, shapes, strides, and random ones of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Instruction

Rng = np.random.Generator

FLOAT, INTEGER, POSITIVE = "float", "integer", "positive"
OPD0, OPD1, OPD2, OPD3, RES0, RES1 = 0, 0x14000, 0x3F000, 0x28000, 0x40000, 0x60000
DDR_A = BM1684.context_start + 0x2000
DDR_B = BM1684.context_start + 0x200000
DDR_BYTES = 4 << 20


@dataclass(frozen=True)
class Case:
    """An instruction and what its memories hold: random bytes, moderate floats, or
    positive floats. ``exact``: the result is no float32, or one without rounding; ``reordered``:
    the model adds up floats in another order than the chip."""

    inst: Instruction
    contents: str = INTEGER
    exact: bool = False
    reordered: bool = False

    @property
    def bits_must_agree(self) -> bool:
        """Whether the result is no float32, or one without rounding."""
        return self.exact or self.contents == INTEGER


def up(value: int, step: int) -> int:
    return -(-value // step) * step


def pick(rng: Rng, *values: int) -> int:
    return int(rng.choice(values))


def at(lane: int, offset: int) -> int:
    return BM1684.local_address(lane, offset)


def bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def shape_fields(operand: str, shape: tuple[int, ...]) -> dict[str, int]:
    return {f"{operand}_{axis}": size for axis, size in zip("nchw", shape, strict=True)}


def stride_fields(operand: str, strides: tuple[int, ...]) -> dict[str, int]:
    return {f"{operand}_{axis}_str": size for axis, size in zip("nchw", strides, strict=True)}


def precisions(first: int, second: int, third: int, result: int) -> dict[str, int]:
    names = ("opd0", "opd1", "opd2", "res0")
    return {
        f"opt_{name}_prec": value
        for name, value in zip(names, (first, second, third, result), strict=True)
    }


def random_strides(rng: Rng, lane: int, shape: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Strides with gaps."""
    _, c, h, w = shape
    ws = pick(rng, 1, 1, 2)
    hs = ws * w + pick(rng, 0, 3)
    cs = hs * h + pick(rng, 0, 5)
    return (-(-(lane + c) // 64) * cs + pick(rng, 0, 7), cs, hs, ws)


def random_shape(rng: Rng, most: int = 9) -> tuple[int, int, int, int]:
    return (
        pick(rng, 1, 1, 2, 3, 4, 5, 8),
        pick(rng, 1, 3, 10, 64, 66, 70, 130),
        int(rng.integers(1, most)),
        int(rng.integers(1, most)),
    )


def random_lane(rng: Rng) -> int:
    return pick(rng, 0, 0, 0, 5, 63, int(rng.integers(64)))


def signs(rng: Rng, count: int) -> dict[str, int]:
    return {f"opt_opd{i}_sign": pick(rng, 0, 1) for i in range(count)}


def gdma_fields(prefix: str, kind: str, values: tuple[int, ...]) -> dict[str, int]:
    return {f"{prefix}_{axis}{kind}": v for axis, v in zip("nchw", values, strict=True)}
