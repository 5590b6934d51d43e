"""What the kernels may choose between."""

from __future__ import annotations

from dataclasses import dataclass

from dialects.bm1684.chip import BM1684


@dataclass(frozen=True)
class KernelOptions:
    """The options of the kernels; a field here is an option of convert-quant-to-tile.

    ``share``: a tile takes at most that part of local memory, so that the next ones can be loaded
    meanwhile. ``whole``: element-wise layers keep a tensor's channels in their lanes where it fits,
    so that their tiles are those of the convolutions around them, and large weights come in
    pieces. ``fold``: convolutions of few channels are folded; else only those that read the plain
    bytes of an image, as far as the DMA engine has least to do.
    """

    share: int = 1
    whole: bool = False
    fold: bool = False

    @property
    def budget(self) -> int:
        """Bytes of each lane that the buffers of one tile may take together."""
        return BM1684.lane_bytes // self.share
