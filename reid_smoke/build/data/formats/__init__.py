"""The formats in which data sets come: one file each, and `reading` in front of them; no torch."""
