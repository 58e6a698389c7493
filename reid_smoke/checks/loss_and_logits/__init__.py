"""RS2: the loss and the logits."""
