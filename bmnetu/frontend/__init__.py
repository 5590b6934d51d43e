"""Prototxt and umodel in, ufw ops out."""

from __future__ import annotations

from bmnetu.frontend.network import Network, Precision, load_network
from bmnetu.frontend.umodel import generate_umodel, write_prototxt, write_umodel

__all__ = [
    "Network",
    "Precision",
    "generate_umodel",
    "load_network",
    "write_prototxt",
    "write_umodel",
]
