"""``bmnetu-model`` looks into bmodels. ``commands`` has a module for each of its subcommands."""
