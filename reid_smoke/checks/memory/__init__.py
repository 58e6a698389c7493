"""RS8: the memory that a training takes."""
