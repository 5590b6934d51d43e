"""Where a network's inputs and outputs lie in DDR."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref
from dialects.bm1684.npu import Observation
from dialects.execute import names_of
from dialects.quant import types
from dialects.quant.base import ints
from passes.module.functions import CLEARED_NAMES


@dataclass(frozen=True)
class NetworkTensor:
    """A network input or output: its place in DDR and the real value of one step (None for
    float). ``packed``: four 8-bit images lie in a word (4N).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    address: int
    nbytes: int
    scale: float | None = field(compare=False)
    packed: bool

    def observation(self) -> Observation:
        return Observation(self.name, self.address, self.shape, self.dtype, self.packed)


def network_tensors(
    function: FuncOp, kind: type[tile.InputOp] | type[tile.OutputOp]
) -> list[NetworkTensor]:
    """A function's inputs or outputs, in order, without what it only clears.

    Raises PassFailedException when the bytes of one are not those of its shape.
    """
    found: list[NetworkTensor] = []
    cleared = names_of(function, CLEARED_NAMES)
    for op in function.body.block.ops:
        if isinstance(op, kind) and op.top.data not in cleared:
            ref = Ref.of(op.ref)
            dtype, packed = types.dtype_name(ref.element), ref.layout.pack > 1
            scale = None if op.scale is None else float(op.scale.data.scale)
            shape = ints(op.shape)
            tensor = NetworkTensor(
                op.top.data, shape, dtype, op.located, op.bytes.value.data, scale, packed
            )
            if min(shape, default=0) < 1 or tensor.observation().nbytes != tensor.nbytes:
                raise PassFailedException(
                    f'{op.name} "{tensor.name}": {tensor.nbytes} bytes are not those of its shape'
                )
            found.append(tensor)
    return found
