"""Slices: layers as copies of themselves that compute one part of their tensors after the other."""
