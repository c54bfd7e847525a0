"""The ledger on SQLAlchemy: what was decided, what must still happen, and who did it."""
