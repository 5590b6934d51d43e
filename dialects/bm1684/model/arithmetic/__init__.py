"""What the tensor unit computes, and conversions of numbers."""
