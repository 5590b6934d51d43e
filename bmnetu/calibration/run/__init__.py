"""The float net that is calibrated, and who runs it over batches."""
