"""Kernels that make few numbers out of many."""
