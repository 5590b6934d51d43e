"""How accurate an INT8 network is: by layer, by output, and what to keep in float."""
