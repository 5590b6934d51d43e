"""The levels of each way, first to last: what ``-stop_after`` knows without loading the passes."""

STATIC_LEVELS = ("ufw", "quant", "tile", "npu")
DYNAMIC_LEVELS = ("ufw", "quant", "record")
ALL_LEVELS = tuple(dict.fromkeys(STATIC_LEVELS + DYNAMIC_LEVELS))


def levels_of(dyn: bool) -> tuple[str, ...]:
    """The levels of the way for fixed shapes, or of that for run-time shapes."""
    return DYNAMIC_LEVELS if dyn else STATIC_LEVELS
