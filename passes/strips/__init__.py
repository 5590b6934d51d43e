"""Which layers of a batch-1 network run on four strips of the image, and how high those are."""
