"""Data moves of the GDMA."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Format, Instruction, start_of
from dialects.bm1684.model.arithmetic.convert import ELEMENT, convert
from dialects.bm1684.model.errors import ModelError
from dialects.bm1684.model.memory.access import Access, Operand, PreparedCommand
from dialects.bm1684.model.memory.lanes import (
    LaneTensor,
    Shape,
    aligned_strides,
    lane_rows,
    round_up,
)
from dialects.bm1684.model.memory.npu import Array, DType, Npu
from dialects.bm1684.model.memory.operands import local_place
from dialects.bm1684.model.memory.system import SystemTensor

RAW = {4: np.dtype(np.uint32), 2: np.dtype(np.uint16), 1: np.dtype(np.uint8)}
"""Types that copy bits."""


@dataclass(frozen=True, slots=True)
class MoveSide:
    """Source or destination of a move: a tensor in local or in system memory."""

    place: LaneTensor | SystemTensor
    positions: Array | None = None
    """[h, w] element positions in a row of ``place``, when indices are shifted."""

    def access(self, write: bool) -> Access:
        """The bytes it covers."""
        return self.place.access(write)

    def read(self, npu: Npu, dtype: DType) -> Array:
        """The elements [n, c, h, w]."""
        data = self._read(npu, dtype)
        return data if self.positions is None else data[:, :, 0][:, :, self.positions]

    def write(self, npu: Npu, data: Array) -> None:
        """Store the elements."""
        if self.positions is not None:
            held = self._read(npu, data.dtype)
            held[:, :, 0, self.positions.reshape(-1)] = data.reshape(*data.shape[:2], -1)
            data = held
        if isinstance(self.place, LaneTensor):
            self.place.write(npu.lmem, data)
        else:
            self.place.write(npu, data)

    def _read(self, npu: Npu, dtype: DType) -> Array:
        if isinstance(self.place, LaneTensor):
            return self.place.read(npu.lmem, dtype)
        return self.place.read(npu, dtype)


def _format(inst: Instruction, side: str) -> Format:
    return Format(inst[f"{side}_data_format"])


def _local(inst: Instruction, side: str) -> bool:
    direction = Direction(inst["direction"])
    return direction.from_local if side == "src" else direction.to_local


def _mask(inst: Instruction) -> int:
    return inst["localmem_mask_l32"] | inst["localmem_mask_h32"] << 32


def _side(inst: Instruction, side: str, shape: Shape) -> MoveSide:
    n, c, h, w = shape
    hshift, wshift = inst[f"{side}_hshift"], inst[f"{side}_wshift"]
    if not (hshift or wshift):
        return MoveSide(_place(inst, side, shape, None))
    ns, cs, hs, ws = (inst[f"{side}_{axis}stride"] for axis in "nchw")
    rows = np.arange(h) * hs >> hshift
    positions = rows[:, None] + (np.arange(w) * ws >> wshift)
    length = int(positions.max()) + 1
    return MoveSide(_place(inst, side, (n, c, 1, length), (ns, cs, 1, 1)), positions)


def _place(
    inst: Instruction, side: str, shape: Shape, strides: Shape | None
) -> LaneTensor | SystemTensor:
    unit = _format(inst, side).nbytes
    address = start_of(inst, side)
    field = f"{side}_start_addr"
    explicit = strides
    if explicit is None and inst["stride_enable"]:
        n, c, h, w = (inst[f"{side}_{axis}stride"] for axis in "nchw")
        explicit = (n, c, h, w)
    if _local(inst, side):
        lane, offset = local_place(field, address, unit)
        form = explicit or aligned_strides(lane, shape, unit)
        return LaneTensor(side, lane, offset, unit, 1, shape, form, _mask(inst))
    return _system(field, address, unit, shape, explicit)


def _system(
    field: str, address: int, unit: int, shape: Shape, strides: Shape | None
) -> SystemTensor:
    if address % unit:
        raise ModelError(f"{field}={address:#x} is not a multiple of {unit} bytes")
    if address < BM1684.l2_base:
        raise ModelError(f"{field}={address:#x} is not an address of DDR or L2")
    _, c, h, w = shape
    return SystemTensor(address, unit, shape, strides or (c * h * w, h * w, w, 1))


def _shape(inst: Instruction, side: str) -> Shape:
    n, c, h, w = (inst[f"{side}_{axis}size"] for axis in "nchw")
    return n, c, h, w


def plan_move(inst: Instruction) -> PreparedCommand:
    """A copy, an accumulation or a conversion; the element order is that of the source."""
    shape = _shape(inst, "src")
    source = _side(inst, "src", shape)
    target = _side(inst, "dst", shape if inst["chw_copy"] else _shape(inst, "dst"))
    reads: tuple[Operand, ...] = (source, target) if inst["acc_write_enable"] else (source,)
    return PreparedCommand(reads, (target,), partial(_move, inst, source, target))


def _move(inst: Instruction, source: MoveSide, target: MoveSide, npu: Npu) -> None:
    formats = _format(inst, "src"), _format(inst, "dst")
    if formats[0] != formats[1]:
        data = convert(source.read(npu, ELEMENT[formats[0]]), *formats)
    elif inst["acc_write_enable"]:
        data = source.read(npu, ELEMENT[formats[0]])
    else:
        data = source.read(npu, RAW[formats[0].nbytes])
    if not inst["chw_copy"]:
        data = data.reshape(_shape(inst, "dst"))
    if inst["acc_write_enable"]:
        data = target.read(npu, ELEMENT[formats[1]]) + data
    target.write(npu, data)


def plan_fill(inst: Instruction) -> PreparedCommand:
    """The low bits of ``constant_value`` into every element of the destination."""
    target = _side(inst, "dst", _shape(inst, "src" if inst["chw_copy"] else "dst"))
    dtype = RAW[_format(inst, "dst").nbytes]
    value = np.array([inst["constant_value"]], np.uint32).astype(dtype)

    def run(npu: Npu) -> None:
        target.write(npu, np.broadcast_to(value, target.place.shape))

    return PreparedCommand((), (target,), run)


def plan_transpose(inst: Instruction, axes: tuple[int, int, int, int]) -> PreparedCommand:
    """The destination is the source with ``axes`` permuted."""
    n, c, h, w = _shape(inst, "src")
    shape = (n, c, h, w)
    source = _side(inst, "src", shape)
    a, b, y, x = (shape[axis] for axis in axes)
    target = _side(inst, "dst", (a, b, y, x))
    dtype = RAW[_format(inst, "src").nbytes]

    def run(npu: Npu) -> None:
        target.write(npu, source.read(npu, dtype).transpose(axes))

    return PreparedCommand((source,), (target,), run)


def plan_copy_linear(inst: Instruction) -> PreparedCommand:
    """``src_nstride`` elements from one system address to another."""
    unit = _format(inst, "src").nbytes
    shape = (1, 1, 1, inst["src_nstride"])
    source, target = (
        MoveSide(_system(f"{side}_start_addr", start_of(inst, side), unit, shape, None))
        for side in ("src", "dst")
    )

    def run(npu: Npu) -> None:
        target.write(npu, source.read(npu, RAW[unit]))

    return PreparedCommand((source,), (target,), run)


def plan_matrix(inst: Instruction) -> PreparedCommand:
    """A matrix between system memory and sections of ``w`` columns in successive lanes."""
    load = inst["direction"] == Direction.SYSTEM_TO_LOCAL
    system, local = ("src", "dst") if load else ("dst", "src")
    unit = _format(inst, system).nbytes
    rows, columns = inst[f"{system}_hsize"], inst[f"{system}_wsize"]
    stride = inst[f"{system}_hstride"] if inst["stride_enable"] else columns
    flat = _system(
        f"{system}_start_addr", start_of(inst, system), unit, (1, 1, rows, columns),
        (0, 0, stride, 1),
    )
    transposed = bool(inst["special_func"])
    if transposed:
        rows, columns = columns, rows
    sections = _sections(inst, local, rows, columns, unit)
    dtype = RAW[unit]

    def run(npu: Npu) -> None:
        if load:
            matrix = flat.read(npu, dtype)[0, 0]
            _scatter(sections, matrix.T if transposed else matrix, npu)
        else:
            matrix = _gather(sections, dtype, npu)
            flat.write(npu, matrix.T if transposed else matrix)

    places: tuple[Operand, ...] = tuple(sections)
    return PreparedCommand((flat,), places, run) if load else PreparedCommand(places, (flat,), run)


def _sections(
    inst: Instruction, side: str, rows: int, columns: int, unit: int
) -> list[LaneTensor]:
    """The local matrix: its whole sections, and the last one when it is not full."""
    width = inst[f"{side}_wsize"]
    count = round_up(columns, width) // width
    if inst[f"{side}_nsize"] != rows or inst[f"{side}_csize"] != count:
        raise ModelError(
            f"{side}_nsize={inst[f'{side}_nsize']}, {side}_csize={inst[f'{side}_csize']} do not "
            f"fit a matrix of {rows} x {columns} in sections of {side}_wsize={width}: "
            f"{rows} and {count} are needed"
        )
    lane, offset = local_place(f"{side}_start_addr", start_of(inst, side), unit)
    if inst["stride_enable"]:
        ns, cs = inst[f"{side}_nstride"], inst[f"{side}_cstride"]
    else:
        cs = round_up(width, BM1684.alignment // unit)
        ns = lane_rows(lane, count) * cs
    whole, rest = divmod(columns, width)
    sections: list[LaneTensor] = []
    for first, shape in ((0, (rows, whole, 1, width)), (whole, (rows, 1, 1, rest))):
        if shape[1] * shape[3]:
            row, own = divmod(lane + first, BM1684.lanes)
            at = offset + unit * cs * row
            sections.append(
                LaneTensor(side, own, at, unit, 1, shape, (ns, cs, width, 1), _mask(inst))
            )
    return sections


def _scatter(sections: list[LaneTensor], matrix: Array, npu: Npu) -> None:
    first = 0
    for section in sections:
        columns = section.shape[1] * section.shape[3]
        section.write(npu.lmem, matrix[:, first : first + columns].reshape(section.shape))
        first += columns


def _gather(sections: list[LaneTensor], dtype: DType, npu: Npu) -> Array:
    parts = [s.read(npu.lmem, dtype).reshape(s.shape[0], -1) for s in sections]
    return np.concatenate(parts, 1)
