"""Layers that stand for others, as those."""
