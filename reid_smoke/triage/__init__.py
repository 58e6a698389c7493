"""Short trials that change one thing each, from the same start on the same batches, and what they prove."""
