"""Which files were imported into a workspace: by their bytes, once, with what each turned out to be."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, insert, select
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor
from cairnops.store import tables as t
from cairnops.store.engine import reading, steady, writing
from cairnops.store.ledger import append


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """One file on record."""

    sha256: str
    name: str
    kind: str
    size: int
    records: int
    rejects: int
    #: When its name says it was made, and when the file system does.
    claimed_at: datetime | None
    observed_at: datetime
    at: datetime
    actor: str
    #: The reader's account of it.
    account: dict[str, Any]


@steady
class SqlImports:
    """The imports of one workspace; rows are only ever added."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def find(self, sha256: str) -> Imported | None:
        """The import of these very bytes, if there was one."""
        with reading(self._engine) as c:
            row = c.execute(select(t.imported).where(t.imported.c.sha256 == sha256)).first()
        return None if row is None else _imported(row)

    def add(self, found: Imported, actor: Actor) -> bool:
        """Keep an import; False when the same bytes are on record (they stay as they are)."""
        try:
            with writing(self._engine) as c:
                c.execute(
                    insert(t.imported).values(
                        sha256=found.sha256,
                        name=found.name,
                        kind=found.kind,
                        size=found.size,
                        records=found.records,
                        rejects=found.rejects,
                        claimed_at=codec.stamp(found.claimed_at) if found.claimed_at else "",
                        observed_at=codec.stamp(found.observed_at),
                        at=codec.stamp(found.at),
                        actor=found.actor,
                        body=codec.canonical(codec.plain(found.account)),
                    )
                )
                body = {"sha256": found.sha256, "name": found.name, "records": found.records}
                append(c, Entry(kind="export.imported", at=found.at, actor=actor, body=body))
        except IntegrityError:
            return False
        return True

    def all(self) -> list[Imported]:
        """Every import, oldest first."""
        with reading(self._engine) as c:
            rows = c.execute(select(t.imported).order_by(t.imported.c.seq)).all()
        return [_imported(row) for row in rows]


def _imported(row: Row[Any]) -> Imported:
    import json

    return Imported(
        sha256=row.sha256,
        name=row.name,
        kind=row.kind,
        size=row.size,
        records=row.records,
        rejects=row.rejects,
        claimed_at=codec.moment(row.claimed_at) if row.claimed_at else None,
        observed_at=codec.moment(row.observed_at),
        at=codec.moment(row.at),
        actor=row.actor,
        account=json.loads(row.body),
    )
