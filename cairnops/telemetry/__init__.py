"""NDJSON in and out: whole files, counted lines, nothing dropped silently."""
