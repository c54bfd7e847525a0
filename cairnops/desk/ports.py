"""What the desk needs from whoever keeps the ledger; the store happens to fit."""

from datetime import datetime
from typing import Protocol

from cairnops.domain.changes import Change, Committed
from cairnops.domain.conversations import Actor, Conversation
from cairnops.domain.requests import Facts, Flags


class Ledger(Protocol):
    """Facts out, changes in; nothing else."""

    def facts(self, conversation: str, *, key: str, suggestion: str, session: str, flags: Flags) -> Facts:
        """One consistent read of what a decision on the conversation depends on.

        Raises:
            NotFound: when nobody has observed the conversation.
        """

    def commit(self, change: Change) -> Committed:
        """Write the change in one transaction.

        Raises:
            StaleFacts: when the conversation is no longer at the version expected, or the key was
                taken meanwhile; nothing is written.
        """

    def observe(
        self, conversation: Conversation, *, at: datetime, actor: Actor, breached_at: datetime | None
    ) -> int:
        """Keep the conversation as it was read; returns its version, which grows only if it differs."""
