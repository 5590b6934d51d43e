"""An .onnx file and the files beside it, checked and in order."""
