"""What several passes share: finding functions, lifetimes, footprints, encoding."""
