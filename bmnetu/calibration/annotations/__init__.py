"""What is to be detected: the annotations of data sets, and their classes."""
