"""Memory: lifetimes and addresses of buffers, where tensors stay, what commands touch."""
