"""Every number of the chip."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class FixedTables:
    """Byte offsets in L2 of the tables the firmware fills in before any command runs.

    Entries are 32-bit words unless said otherwise.
    """

    start: int = 0x30_0000
    float_of_index: int = 0x30_0000
    """256 floats: the signed byte index, for -103..88 only."""
    exp: int = 0x30_0400
    """256 floats: e to the power of the signed byte index."""
    log_of_exponent: int = 0x30_0800
    """256 floats: (index - 127) * ln 2."""
    taylor_exp: int = 0x30_0C00
    """64 floats: 1/(k+1)!."""
    taylor_log: int = 0x30_0D00
    """64 floats: 1, -1/2, 1/3, ..."""
    taylor_arcsin: int = 0x30_0E00
    """58 floats: 1, 0, 1/6, 0, 3/40, ..."""
    float_of_uint8: int = 0x30_0F00
    """256 floats: the unsigned byte index."""
    float_of_int8: int = 0x30_1300
    """256 floats: the signed byte index."""
    taylor_sin: int = 0x30_1700
    """64 floats: 1, 0, -1/6, 0, 1/120, ..."""
    float_of_integer: int = 0x30_1800
    """2048 floats: 0, 1, 2, ..."""
    low_byte: int = 0x30_3800
    """65536 bytes: index & 255."""
    high_byte: int = 0x31_3800
    """65536 bytes: index >> 8."""
    end: int = 0x32_3800
    dynamic_ir: int = 0x32_2000
    """Where the vendor's runtime puts the records of dynamic networks."""
    reserved_end: int = 0x38_0000
    """From ``start`` up to here nothing of ours may lie."""


@dataclass(frozen=True)
class Limits:
    """Largest values that the passes cut by; those of single instructions are in the isa."""

    batch: int = 65535
    channels: int = 4095
    height: int = 65535
    width: int = 65535
    pad: int = 15
    stride: int = 15
    dilation: int = 16
    gdma_size: int = 65535
    gdma_source_step: int = 4095
    """Largest w stride of a GDMA source, in elements; the destination has no such limit."""
    average_area: int = 254
    """Largest kernel area of an int8 average pooling with the built-in multiplier."""
    average_area_excluded: int = 240
    ids_per_group: int = 30000
    """Commands of one engine in one group; ids have 16 bits and restart in each group."""


@dataclass(frozen=True)
class Clock:
    """Frequencies in Hz."""

    tiu: int = 550_000_000
    gdma: int = 575_000_000


@dataclass(frozen=True)
class Chip:
    """One NPU: memories, address map, limits, clocks. Sizes in bytes."""

    name: str
    lanes: int
    lane_bytes: int
    bank_bytes: int
    local_base: int
    l2_base: int
    l2_bytes: int
    ddr_base: int
    context_start: int
    """Lowest DDR address a network may use."""
    word_bytes: int = 4
    int8_images_per_word: int = 4
    int16_images_per_word: int = 2
    channels_per_weight_word: int = 4
    """Input channels in one 32-bit word of int8 weights."""
    channels_per_weight_pair: int = 2
    """Input channels in one 8-byte unit of fp32 weights."""
    alignment: int = 128
    """Start and channel stride of an aligned tensor in local memory."""
    ddr_alignment: int = 4096
    """Start of a network tensor in DDR."""
    limits: Limits = Limits()
    tables: FixedTables = FixedTables()
    clock: Clock = Clock()

    @property
    def banks(self) -> int:
        """Banks of one lane's memory."""
        return self.lane_bytes // self.bank_bytes

    @property
    def local_end(self) -> int:
        """First address behind local memory."""
        return self.local_base + self.lanes * self.lane_bytes

    @property
    def l2_end(self) -> int:
        """First address behind L2."""
        return self.l2_base + self.l2_bytes

    def local_address(self, lane: int, offset: int) -> int:
        """The address of a byte in a lane's memory."""
        return self.local_base + lane * self.lane_bytes + offset

    def local_place(self, address: int) -> tuple[int, int]:
        """(lane, offset) of a local memory address; the inverse of :meth:`local_address`."""
        return divmod(address - self.local_base, self.lane_bytes)


BM1684 = Chip(
    name="BM1684",
    lanes=64,
    lane_bytes=512 * KIB,
    bank_bytes=64 * KIB,
    local_base=0x0800_0000,
    l2_base=0x1000_0000,
    l2_bytes=4 * MIB,
    ddr_base=0x1_0000_0000,
    context_start=0x1_0510_0000,
)
