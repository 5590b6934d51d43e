"""Operators that slide windows over maps, and those that resize maps."""
