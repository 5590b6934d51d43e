"""What can be compiled: a check of one network, and the list of all layer types."""
