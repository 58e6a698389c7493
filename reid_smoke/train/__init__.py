"""The reference loop."""
