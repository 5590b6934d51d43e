"""What commands cost: cycles, schedule of the two engines, products and bytes moved.

The vendor's own model of the chip in closed form, equal to its estimators; no measurement.
"""

from __future__ import annotations

from dialects.bm1684.cycles.gdma import Traffic, traffic_of
from dialects.bm1684.cycles.price import (
    SLOW_DDR,
    cycles_of,
    slow_cycles_of,
    traced_cycles_of,
)
from dialects.bm1684.cycles.schedule import Schedule, ScheduleError, Span, schedule
from dialects.bm1684.cycles.tiu import PEAK_MACS, macs_of

__all__ = [
    "PEAK_MACS",
    "SLOW_DDR",
    "Schedule",
    "ScheduleError",
    "Span",
    "Traffic",
    "cycles_of",
    "macs_of",
    "schedule",
    "slow_cycles_of",
    "traced_cycles_of",
    "traffic_of",
]
