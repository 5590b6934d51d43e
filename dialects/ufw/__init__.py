"""The ufw dialect; its ops are in :mod:`dialects.ufw.ops`."""
