"""One function a layer type: from its message and coefficients to a ufw op."""
