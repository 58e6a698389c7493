"""How well the right people are found, before and after a run: a figure beside the verdict, never the verdict."""
