"""ONNX operators as UFW layers: ``table.py`` says which, the other files how."""
