"""What a compilation reports: its result, and where the time goes."""
