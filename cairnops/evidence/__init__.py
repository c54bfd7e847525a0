"""Worksheets and reports: what a session leaves behind."""
