"""ONNX nets as UFW layers: the only package that imports the onnx package."""

from __future__ import annotations

from bmnetu.frontend.onnx.convert import convert_onnx, read_onnx

__all__ = ["convert_onnx", "read_onnx"]
