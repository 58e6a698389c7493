"""What can be said before a run: of the data, and of a batch as the model sees it."""
