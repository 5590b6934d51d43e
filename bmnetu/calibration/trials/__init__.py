"""A calibrated net with a part of it changed: nothing else moves."""
