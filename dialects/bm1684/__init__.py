"""The BM1684: its numbers, its instructions, and a model that executes them."""
