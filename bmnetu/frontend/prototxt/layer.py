"""One layer of a net, connected."""

from __future__ import annotations

from dataclasses import dataclass

from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.names import quoted


@dataclass(frozen=True)
class Layer:
    """One layer: bottoms and tops are unique blob names, ``where`` is file:line."""

    param: LayerParameter
    line: int
    where: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.param.name

    def fault(self, sentence: str) -> str:
        """A message that names file, line and layer."""
        return f"{self.where}: layer {quoted(self.name)} ({self.param.type}): {sentence}"
