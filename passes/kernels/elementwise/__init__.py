"""Kernels of float arithmetic with several tensors."""
