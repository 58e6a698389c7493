"""RS4: the optimizer and the schedule."""
