"""The threshold of every tensor: from histograms, from the plan of shared scales, from weights."""
