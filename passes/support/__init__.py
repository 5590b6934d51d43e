"""Which rows of its operands a layer reads."""
