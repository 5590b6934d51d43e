"""The one cost model: what layers, their tensors and their moves take, for all plans."""
