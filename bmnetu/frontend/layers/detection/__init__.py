"""Imports the layers of detection networks."""
