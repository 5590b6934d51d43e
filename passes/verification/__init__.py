"""The compare: runs the command bytes on the NPU model beside the CPU reference."""
