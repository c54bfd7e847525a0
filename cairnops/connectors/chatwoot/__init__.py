"""Chatwoot: the client, and a simulator that speaks the same API."""
