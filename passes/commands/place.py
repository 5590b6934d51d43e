"""Addresses of memrefs, and the operand fields that follow from a layout."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Precision, StrideMode
from dialects.bm1684.layout import Place, Ref, Space, aligned, i32, si8, si16, ui8, ui16

_PRECISIONS: dict[Attribute, Precision] = {
    si8: Precision.INT8,
    ui8: Precision.INT8,
    si16: Precision.INT16,
    ui16: Precision.INT16,
    i32: Precision.INT32,
    f32: Precision.FP32,
}


@dataclass
class Addresses:
    """Where every memref value lies: an address in DDR or L2, an offset in each lane of local
    memory.
    """

    found: dict[SSAValue, int] = field(default_factory=dict[SSAValue, int])

    def define(self, op: tile.BufferOp) -> None:
        self.found[op.ref] = op.located

    def define_view(self, op: tile.ViewOp) -> None:
        self.found[op.ref] = self.found[op.source] + op.offset.value.data

    def of(self, value: SSAValue) -> int:
        """The absolute address of a memref's first element."""
        return absolute(Ref.of(value).place, self.found[value])

    def offset(self, value: SSAValue) -> int:
        """The byte in DDR, in L2, or in each lane."""
        return self.found[value]


def absolute(place: Place, start: int) -> int:
    """The absolute address of a byte of DDR or L2, or of each lane."""
    if place.space is Space.LMEM:
        return BM1684.local_address(place.lane, start)
    return start + (BM1684.l2_base if place.space is Space.L2 else 0)


def precision(element: Attribute) -> Precision:
    """``opt_*_prec`` of an element type."""
    return _PRECISIONS[element]


def is_aligned(ref: Ref) -> bool:
    """True when the engine derives these strides by itself (``short_*_str`` = 0)."""
    return ref.layout == aligned(ref.shape, ref.layout.unit, ref.layout.pack, ref.place.lane)


def stride_fields(operand: str, ref: Ref, always: bool = False) -> dict[str, int]:
    """The ``short_*_str`` field and, where needed, the four strides of an operand."""
    if not always and is_aligned(ref):
        return {f"short_{operand}_str": StrideMode.ALIGNED}
    n, c, h, w = ref.layout.strides
    return {
        f"short_{operand}_str": StrideMode.EXPLICIT,
        f"{operand}_n_str": n,
        f"{operand}_c_str": c,
        f"{operand}_h_str": h,
        f"{operand}_w_str": w,
    }


def result_shape(ref: Ref) -> dict[str, int]:
    """``res0_n``, ``res0_c``, ``res0_h``, ``res0_w``."""
    return {f"res0_{axis}": size for axis, size in zip("nchw", ref.shape, strict=True)}
