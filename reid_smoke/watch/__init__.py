"""See a training that is not ours."""
