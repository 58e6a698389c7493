"""Several runs beside each other: what came of each, what differed in what they were, which findings came and went."""
