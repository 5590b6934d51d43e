"""Thresholds from data: a float net becomes an int8umodel."""

from bmnetu.calibration.calibrate import CalibrationResult, calibrate_network
from bmnetu.calibration.evaluate import Evaluation, evaluate_network
from bmnetu.calibration.what_if import WhatIf, what_if

__all__ = [
    "CalibrationResult",
    "Evaluation",
    "WhatIf",
    "calibrate_network",
    "evaluate_network",
    "what_if",
]
