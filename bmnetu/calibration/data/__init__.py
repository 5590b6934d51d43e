"""Calibration data: what is read, what is done to it, and statistics over all of it."""
