"""Layers that the runtime computes on the host's processor."""
