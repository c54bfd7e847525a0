"""Figures over exports; reads files, never the store."""
