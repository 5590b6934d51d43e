"""ONNX operators that become layers of the runtime's host library."""
