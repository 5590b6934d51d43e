"""Layers of few channels on pieces of an image that lie side by side in the lanes."""
