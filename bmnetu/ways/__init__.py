"""The ways down from a network to what the runtime loads, as data."""
