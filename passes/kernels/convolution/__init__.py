"""Convolutions: their weights in the order of the multipliers, folded taps, stacked channels."""
