"""A compilation: the stages of a bmodel one by one, and their files."""
