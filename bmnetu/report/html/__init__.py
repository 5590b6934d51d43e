"""``-report``: one self-contained HTML page about a compilation or a calibration."""
