"""Facts to something people or machines read: one file per format."""
