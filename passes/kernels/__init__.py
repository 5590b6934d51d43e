"""How every quant op is cut into tiles: transfers and computations."""
