"""The command lines: flags, their values, the terminal, the report of a bug."""
