"""The levels of each way, first to last: what ``-stop_after`` knows without loading the passes."""

STATIC_LEVELS = ("ufw", "quant", "tile", "npu")
DYNAMIC_LEVELS = ("ufw", "quant", "record")
