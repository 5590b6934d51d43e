"""ONNX operators on whole numbers, and those that write at known places."""
