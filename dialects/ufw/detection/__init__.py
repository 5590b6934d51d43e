"""Layers of detection networks that the NPU's side computes."""

from dialects.ufw.detection.prior_box import PriorBoxOp

__all__ = ["PriorBoxOp"]
