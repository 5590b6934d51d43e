"""Channels in another order than the network's: who can take them so."""
