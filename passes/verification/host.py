"""Host layers in the compare: what the runtime computes from the bytes of a bmodel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.model import Npu
from dialects.host.base import filled
from dialects.host.ops import BY_NUMBER
from passes.image.host import HostCall
from passes.image.tensors import NetworkTensor

Array = NDArray[Any]


class HostError(ValueError):
    """A host layer that cannot be computed; ``place`` is its place among the calls."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


@dataclass
class HostMemory:
    """The tensors that host layers have made: the runtime hands them on with their actual shapes,
    and copies them to the NPU's memory."""

    made: dict[str, Array] = field(default_factory=dict[str, Array])

    def call(self, npu: Npu, place: int, call: HostCall) -> list[Array]:
        """Computes a layer from what lies in memory. What is undefined in a result is 0 in the
        NPU's memory. Raises HostError."""
        op = BY_NUMBER.get(call.number)
        if op is None:
            raise HostError(place, f"there is no host layer of number {call.number}")
        inputs = [self._read(npu, tensor) for tensor in call.inputs]
        try:
            results = op.run(call.params, inputs, [t.shape for t in call.outputs])
        except (ValueError, IndexError, VerifyException) as error:
            raise HostError(place, f"the host cannot compute {op.name}: {error}") from error
        for tensor, array in zip(call.outputs, results, strict=True):
            self.made[tensor.name] = array
            data = np.ascontiguousarray(filled(array)).reshape(-1).view(np.uint8)
            npu.ddr_view(tensor.address, data.size)[:] = data
        return results

    def _read(self, npu: Npu, tensor: NetworkTensor) -> Array:
        if tensor.name in self.made:
            return self.made[tensor.name].reshape(tensor.shape)
        data = npu.ddr_view(tensor.address, tensor.nbytes).copy()
        return data.view(np.dtype(tensor.dtype)).reshape(tensor.shape)
