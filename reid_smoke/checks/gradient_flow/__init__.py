"""RS3: whether the gradient flows from the loss to the weights."""
