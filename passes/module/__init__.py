"""A module's functions, the places its ops come from, and what must hold before a pass."""
