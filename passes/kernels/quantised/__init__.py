"""Strips of an image of floats, quantised as they are read."""
