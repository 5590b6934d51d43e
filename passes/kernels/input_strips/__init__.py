"""Strips of an image that the network is given, made as they are read: of bytes, or of floats."""
