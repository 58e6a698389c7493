"""RS7: how fast the training goes."""
