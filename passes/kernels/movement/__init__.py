"""Layers that move data: the places of tensors inside of others, and copies."""
