"""The catalogue: one fault is one file. See catalogue.py."""
