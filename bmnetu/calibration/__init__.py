"""Thresholds from data: a float net becomes an int8umodel."""

from bmnetu.calibration.calibrate import CalibrationResult, calibrate_network
from bmnetu.calibration.evaluate import Evaluation, evaluate_network

__all__ = ["CalibrationResult", "Evaluation", "calibrate_network", "evaluate_network"]
