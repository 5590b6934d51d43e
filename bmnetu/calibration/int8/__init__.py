"""The INT8 network: coefficients, what refines them, its umodel, and its arithmetic on the CPU."""
