"""RS5: the model and its features."""
