"""Which ops exist and what they mean, from network layers down to commands."""
