"""The weights that are loaded last: the chip waits for what is computed with them."""

from __future__ import annotations

from xdsl.ir import Operation

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import LOAD_CYCLES, PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS
from dialects.quant.base import QuantOp
from passes.kernels.tiling import Problem


def least_part(op: QuantOp, p: Problem, step: float) -> int:
    """Channels of the smallest part of those of a layer whose weights are the last to come, and
    take longer to load than to multiply: the chip waits for what is computed behind that.
    ``step``: cycles of a step of pixels. 0: no such layer."""
    steps = -(-p.batch // p.pack) * -(-p.height.out * p.width.out // STEP_PIXELS)
    loaded = BM1684.lanes * p.weight_row / PEAK_BYTES
    if not step or steps * step >= loaded or _has_weights_behind(op):
        return 0
    return BM1684.lanes * max(1, round(LOAD_CYCLES / (steps * step)))


def _has_weights_behind(op: QuantOp) -> bool:
    """Whether a layer with weights reads what follows from a result."""
    seen, ahead = set[Operation](), [op]
    while ahead:
        for value in ahead.pop().results:
            for use in value.uses:
                reader = use.operation
                if reader in seen or not isinstance(reader, QuantOp):
                    continue
                if reader.weight_bytes:
                    return True
                seen.add(reader)
                ahead.append(reader)
    return False
