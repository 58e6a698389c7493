"""RS1: the data, the labels and how batches are drawn."""
