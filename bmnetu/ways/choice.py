"""Which way a compilation goes."""

from __future__ import annotations

from bmnetu.options import PassOptions
from bmnetu.ways.way import Way


def way_of(options: PassOptions) -> Way:
    """The static way, or with ``dyn`` the dynamic one, which is loaded here."""
    if options.dyn:
        from bmnetu.ways.dynamic import DYNAMIC

        return DYNAMIC
    from bmnetu.ways.static import STATIC

    return STATIC
