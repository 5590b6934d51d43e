"""The subcommands of ``bmnetu-model``: a module each, which holds its ``COMMAND``."""
