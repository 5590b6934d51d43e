"""What the chip gets of a compiled function: command bytes, weights, the network's tensors."""
