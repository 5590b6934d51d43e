"""Modules at their last level as bmodels, and back for the check of what was written."""
