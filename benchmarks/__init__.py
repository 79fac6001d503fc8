"""Measurements against references, one command: `make bench`."""
