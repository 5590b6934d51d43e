"""A prototxt: its text, old spellings, the layers that take part, and their connections."""
