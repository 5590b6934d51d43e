"""A model of the NPU that executes the very bytes of its commands.

It shares no arithmetic with the CPU references it is compared with.
"""

from __future__ import annotations

from dialects.bm1684.model.errors import DeadlockError, ModelError, RaceError
from dialects.bm1684.model.execute import accesses, execute
from dialects.bm1684.model.memory.access import Access, Space
from dialects.bm1684.model.memory.npu import Npu
from dialects.bm1684.model.run import OnCommand, run, steps

__all__ = [
    "Access",
    "DeadlockError",
    "ModelError",
    "Npu",
    "OnCommand",
    "RaceError",
    "Space",
    "accesses",
    "execute",
    "run",
    "steps",
]
