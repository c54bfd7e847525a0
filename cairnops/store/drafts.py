"""What somebody has typed and not sent yet, with the keys of the form: a reload and a second tab are one form."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.errors import NotFound, StaleFacts
from cairnops.store import tables as t
from cairnops.store.engine import reading, repeatable, steady, writing

_TRIES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One person's form on one conversation; `actor` is their e-mail address."""

    conversation: str
    actor: str
    session: str
    #: The key the case is opened under.
    opening: str
    #: The key the request goes out under.
    key: str
    #: The version of the conversation the form was drawn from.
    version: int
    #: None: the suggestion stands as it is.
    text: str | None
    note: str
    at: datetime


@steady
class SqlDrafts:
    """The drafts of one workspace. People are named by e-mail address."""

    def __init__(self, engine: Engine):
        self._engine = engine

    @repeatable
    def get_or_make(
        self,
        conversation: str,
        actor: str,
        *,
        session: str,
        version: int,
        mint: Callable[[], str],
        at: datetime,
    ) -> Draft:
        """The form of this person on this conversation at this version.

        On the same version (and in the same session) it is always the same form with the same keys. Drawn
        from another version it is a new form: fresh keys, and what was typed is kept.
        """
        for _ in range(_TRIES):
            try:
                with writing(self._engine, over=_form(conversation, actor)) as c:
                    row = c.execute(select(t.draft).where(*_of(conversation, actor))).first()
                    if row is not None and (row.version, row.session) == (version, session):
                        return _draft(row)
                    fresh = {
                        "session": session,
                        "opening": mint(),
                        "key": mint(),
                        "version": version,
                        "at": codec.stamp(at),
                    }
                    if row is None:
                        c.execute(
                            insert(t.draft).values(
                                conversation_id=conversation, actor=actor, text=None, note="", **fresh
                            )
                        )
                    else:
                        c.execute(
                            update(t.draft)
                            .where(*_of(conversation, actor), t.draft.c.key == row.key)
                            .values(fresh)
                        )
                    # Read back: of two who drew it at once, one drew it.
                    return _draft(c.execute(select(t.draft).where(*_of(conversation, actor))).one())
            except IntegrityError:
                continue
        raise StaleFacts

    @repeatable
    def keep(self, conversation: str, actor: str, *, text: str | None, note: str, at: datetime) -> bool:
        """Keep what was typed; False when there is no form to keep it in."""
        with writing(self._engine, over=_form(conversation, actor)) as c:
            kept = c.execute(
                update(t.draft)
                .where(*_of(conversation, actor))
                .values(text=text, note=note, at=codec.stamp(at))
            )
            return kept.rowcount == 1

    def renew(self, conversation: str, actor: str, *, mint: Callable[[], str], at: datetime) -> Draft:
        """The form with a fresh key to ask with; what was opened and typed stays.

        A refused request has used its key up: a corrected text under it would be another request.

        Raises:
            NotFound: when the form is gone, sent or given up in another tab.
        """
        with writing(self._engine, over=_form(conversation, actor)) as c:
            c.execute(update(t.draft).where(*_of(conversation, actor)).values(key=mint(), at=codec.stamp(at)))
            row = c.execute(select(t.draft).where(*_of(conversation, actor))).first()
        if row is None:
            raise NotFound(f"Your form on conversation {conversation} is gone.", hint="Open the case again.")
        return _draft(row)

    def drop(self, conversation: str, actor: str) -> bool:
        """Forget the form (it was sent, or given up); False when there was none."""
        with writing(self._engine, over=_form(conversation, actor)) as c:
            return c.execute(delete(t.draft).where(*_of(conversation, actor))).rowcount == 1

    def mine(self, actor: str) -> list[Draft]:
        """Every form this person has open, the one touched last first."""
        with reading(self._engine) as c:
            rows = c.execute(
                select(t.draft)
                .where(t.draft.c.actor == actor)
                .order_by(t.draft.c.at.desc(), t.draft.c.conversation_id)
            ).all()
        return [_draft(row) for row in rows]


def _form(conversation: str, actor: str) -> str:
    return f"draft {conversation} {actor}"


def _of(conversation: str, actor: str) -> tuple[ColumnElement[bool], ...]:
    return t.draft.c.conversation_id == conversation, t.draft.c.actor == actor


def _draft(row: Row[Any]) -> Draft:
    return Draft(
        conversation=row.conversation_id,
        actor=row.actor,
        session=row.session,
        opening=row.opening,
        key=row.key,
        version=row.version,
        text=row.text,
        note=row.note,
        at=codec.moment(row.at),
    )
