"""Thresholds from data: a float net becomes an int8umodel."""

from bmnetu.calibration.calibrate import CalibrationResult, calibrate_network

__all__ = ["CalibrationResult", "calibrate_network"]
