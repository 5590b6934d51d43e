"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("bmnetu", deadline=None)
settings.load_profile("bmnetu")
