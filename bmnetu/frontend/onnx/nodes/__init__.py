"""Nodes of an ONNX graph: their attributes, shapes, functions and scales."""
