"""Training sets: who is in them, and how an image gets into a batch."""
