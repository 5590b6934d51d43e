"""Number formats of the GDMA's converter."""

from __future__ import annotations

import numpy as np

from dialects.bm1684.isa import Format
from dialects.bm1684.model.arithmetic.exact import bounds
from dialects.bm1684.model.memory.npu import Array, DType

ELEMENT: dict[Format, DType] = {
    Format.FP32: np.dtype(np.float32),
    Format.INT16: np.dtype(np.int16),
    Format.UINT8: np.dtype(np.uint8),
    Format.INT8: np.dtype(np.int8),
    Format.FP16: np.dtype(np.float16),
}


def convert(data: Array, source: Format, target: Format) -> Array:
    """Elements of one format as another.

    To 8 bits: nearest, halves to even, saturating, not-a-number gives the largest value. fp32 to
    fp16 truncates, flushes denormals to a signed zero, and turns what is too large into infinity.
    """
    if source == Format.FP32 and target == Format.FP16:
        return _truncate(data.view(np.uint32)).view(np.float16)
    wide = _widen(data.view(np.uint16)) if source == Format.FP16 else data.astype(np.float32)
    if target in (Format.INT8, Format.UINT8):
        low, high = bounds(ELEMENT[target])
        rounded = np.nan_to_num(np.rint(wide), nan=high, posinf=None, neginf=None)
        return np.clip(rounded, low, high).astype(ELEMENT[target])
    return wide.astype(ELEMENT[target])


def _truncate(bits: Array) -> Array:
    sign = bits >> 16 & 0x8000
    exponent = (bits >> 23 & 0xFF).astype(np.int64) - 112
    small = exponent.astype(np.uint32) << 10 | bits >> 13 & 0x3FF
    magnitude = np.where(exponent <= 0, 0, np.where(exponent >= 31, 0x7C00, small))
    return (sign | magnitude).astype(np.uint16)


def _widen(bits: Array) -> Array:
    """fp16 to fp32 as if every number were normal: 0x0001 is about 2^-15, 0x7c00 is 65536."""
    wide = bits.astype(np.uint32)
    magnitude = ((wide & 0x7FFF) << 13) + (112 << 23)
    return (magnitude | (wide & 0x8000) << 16).astype(np.uint32).view(np.float32)
