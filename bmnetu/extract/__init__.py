"""``-extract_layer``: one layer of a network as a network of its own."""
