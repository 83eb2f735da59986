"""Pictures of data and runs as PNG files; need the extra `[plot]`."""
