"""Cycles of the DMA engine's commands, and the bytes that they move to and from DDR.

A transfer is charged for its bytes in bursts, and for its start. Bursts are short where neither
side has long runs of neighbouring elements, and half as long where elements are strided. The
formulas are those of the vendor's estimators, in the TIU's clock; nothing was measured on silicon.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Format, Instruction

DDR_BURST = np.float32(29.565)
"""Bytes a cycle between DDR and the chip, before the doubling of gapless transfers."""
DDR_OVERHEAD = np.float32(1.1079546)
"""What refresh and turning the bus around cost."""
PEAK_BYTES = float(2 * DDR_BURST / DDR_OVERHEAD)
"""Bytes a cycle of a long transfer without gaps between DDR and the chip."""
LOCAL_BURST = np.float32(32)
START_CYCLES = {
    Direction.SYSTEM_TO_LOCAL: 124,
    Direction.LOCAL_TO_SYSTEM: 41,
    Direction.SYSTEM_TO_SYSTEM: 124,
    Direction.LOCAL_TO_LOCAL: 3,
}
LOAD_CYCLES = float(START_CYCLES[Direction.SYSTEM_TO_LOCAL] * DDR_OVERHEAD)
"""What a load from DDR costs beside its bytes."""
FILL_START_CYCLES = 7
PAGE_BITS = 12
"""Reads with gaps pay for each 4 KiB page of DDR that they open."""
PAGE_CYCLES = 53
MATRIX_START_CYCLES = 146
MATRIX_BURST = np.float32(40)


def load_cycles(nbytes: int, run: int) -> float:
    """What a load from DDR takes of so many bytes, in gapless runs of so many in each lane."""
    return LOAD_CYCLES + nbytes / float(2 * min(DDR_BURST, run) / DDR_OVERHEAD)


@dataclass(frozen=True, slots=True)
class TransferSide:
    """One side of a transfer: sizes and strides (elements) of axes n, c, h, w."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @staticmethod
    def of(inst: Instruction, side: str) -> TransferSide:
        """Source ("src") or destination ("dst"). Without ``stride_enable`` it is taken as
        contiguous: a local side's channels are aligned then, which no formula depends on."""
        sized = "src" if inst["chw_copy"] else side
        n, c, h, w = (inst[f"{sized}_{axis}size"] for axis in "nchw")
        if inst["stride_enable"]:
            strides = tuple(inst[f"{side}_{axis}stride"] for axis in "nchw")
        else:
            strides = (c * h * w, h * w, w, 1)
        return TransferSide((n, c, h, w), strides)

    def collapsed(self) -> TransferSide:
        """The same elements with the strides of axes of one element made regular."""
        n, c, h, w = self.sizes
        ns, cs, hs, ws = self.strides
        ws = 1 if w == 1 else ws
        hs = ws * w if h == 1 else hs
        cs = hs * h if c == 1 else cs
        return TransferSide(self.sizes, (cs * c if n == 1 else ns, cs, hs, ws))

    def width(self) -> int:
        """Elements from the first to the last of a line; those between count as moved."""
        return (self.sizes[3] - 1) * self.strides[3] + 1

    def run(self, local: bool) -> int:
        """Neighbouring elements in one go: a line, a plane (local memory ends there), or an
        image."""
        _, c, h, w = self.sizes
        _, cs, hs, _ = self.strides
        if hs != w:
            return w
        return w * h if local or cs != w * h else c * w * h

    def pages(self, start: int, unit: int) -> int:
        """4 KiB pages of DDR opened by a read with gaps."""
        n, c, h, w = self.sizes
        ns, cs, hs, ws = self.strides
        opened = ((start + ns * n * unit) >> PAGE_BITS) - (start >> PAGE_BITS)
        if ws != 1:
            jumps = (
                (hs - ws * w, (h - 1) * c * n),
                (cs - hs * h, (c - 1) * h),
                (ns - cs * c, n - 1),
            )
            opened -= sum(times for gap, times in jumps if abs(gap * unit) >> PAGE_BITS & 1)
        return opened


UNKNOWN_FIELDS = (
    "acc_write_enable",
    *(f"{side}_{axis}shift" for side in ("src", "dst") for axis in "hw"),
)
"""Accumulation and shifted indices: the estimators have no cost for them."""


def tensor_cycles(inst: Instruction) -> int | None:
    """Cycles of a move, a conversion or a fill. None with one of UNKNOWN_FIELDS set."""
    if any(inst[name] for name in UNKNOWN_FIELDS):
        return None
    fill = inst.kind is isa.FILL
    direction = Direction(inst["direction"])
    target = TransferSide.of(inst, "dst")
    given = target if fill else TransferSide.of(inst, "src")
    gaps = given.strides[3] != 1 or target.strides[3] != 1
    unit = max(_unit(inst["src_data_format"]), _unit(inst["dst_data_format"]))
    source = given.collapsed()
    moved = np.float32(prod(source.sizes[:3]) * source.width() * unit)
    from_run = source.width() if source.strides[3] != 1 else source.run(direction.from_local)
    run = np.float32(min(from_run, target.run(direction.to_local)) * unit)
    begin = np.float32(FILL_START_CYCLES if fill else START_CYCLES[direction])
    local_fill = fill and direction is not Direction.SYSTEM_TO_SYSTEM
    if local_fill or direction is Direction.LOCAL_TO_LOCAL:
        burst = min(LOCAL_BURST, run) * np.float32(2 if local_fill and not gaps else 1)
        return int(moved / burst + begin)
    pages = 0
    if gaps and direction is not Direction.LOCAL_TO_SYSTEM:
        pages = source.pages(isa.start_of(inst, "dst" if fill else "src"), unit)
    burst = min(DDR_BURST, run) * np.float32(1 if gaps else 2)
    return int((moved / burst + begin + np.float32(PAGE_CYCLES * pages)) * DDR_OVERHEAD)


def _unit(data_format: int) -> int:
    return Format(data_format).nbytes


def matrix_cycles(inst: Instruction) -> int | None:
    """Cycles of a matrix move. None for a transposing one."""
    if inst["special_func"]:
        return None
    side = "dst" if inst["direction"] == Direction.LOCAL_TO_SYSTEM else "src"
    moved = inst[f"{side}_hsize"] * inst[f"{side}_wsize"] * _unit(inst["src_data_format"])
    return MATRIX_START_CYCLES + int(float(np.float32(moved) / MATRIX_BURST) + 0.5)


FORMULAS = {
    isa.MOVE: tensor_cycles,
    isa.CONVERT: tensor_cycles,
    isa.FILL: tensor_cycles,
    isa.MATRIX: matrix_cycles,
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of elements read from and written to DDR."""

    read: int = 0
    written: int = 0


def traffic_of(inst: Instruction) -> Traffic:
    """What a GDMA command moves to and from DDR; local memory and L2 do not count."""
    if inst.kind is isa.COPY_LINEAR:
        counts = [inst["src_nstride"]] * 2
    else:
        target = "src" if inst["chw_copy"] else "dst"
        counts = [prod(inst[f"{side}_{a}size"] for a in "nchw") for side in ("src", target)]
    nbytes = (
        count * _unit(inst[f"{side}_data_format"]) * (isa.start_of(inst, side) >= BM1684.ddr_base)
        for side, count in zip(("src", "dst"), counts, strict=True)
    )
    read, written = nbytes
    return Traffic(0 if inst.kind is isa.FILL else read, written)
