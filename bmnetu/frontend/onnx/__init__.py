"""ONNX nets as UFW layers: the only folder that imports the onnx package."""

from __future__ import annotations

from bmnetu.frontend.onnx.convert import read_onnx

__all__ = ["read_onnx"]
