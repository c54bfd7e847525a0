"""Rehearse customer-support escalations and keep evidence that can be checked offline."""

__version__ = "0.1.0"
