"""Memories of the model: their bytes, tensors in them, and which command touched what."""
