"""Layers that add over many numbers: reductions, and normalisation by statistics of the operand."""
