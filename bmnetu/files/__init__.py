"""Files in and out: reading with one sentence for what is wrong, sets of files, dumps."""
