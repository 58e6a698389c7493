"""The YAML config: its schema, and reading it."""
