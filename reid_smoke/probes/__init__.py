"""Probes look at torch objects and emit facts; they never decide anything."""
