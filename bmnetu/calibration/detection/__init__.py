"""What a net detects: FP32 beside INT8, and beside what is there."""
