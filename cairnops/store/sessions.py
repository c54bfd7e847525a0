"""Sessions on record: who was in them, what was probed, who worked which case, and what was noted by hand."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.domain.changes import Entry
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.gates import ProbeRecord
from cairnops.domain.sessions import Session, Turn
from cairnops.errors import CairnError, NotFound
from cairnops.store import tables as t
from cairnops.store.engine import reading, steady, writing
from cairnops.store.ledger import append


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """A worksheet row somebody wrote by hand; `key` makes writing it twice one row."""

    key: str
    session: str
    scenario: str
    participant: Actor
    conversation: str
    outcome: str
    note: str
    at: datetime
    owner: str = ""
    due: datetime | None = None


@steady
class SqlSessions:
    """The sessions of one workspace."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def start(self, session: Session, actor: Actor) -> bool:
        """Keep a new session; False when one of that name is already there (it stays as it is)."""
        with writing(self._engine) as c:
            if c.execute(select(t.session.c.name).where(t.session.c.name == session.name)).first():
                return False
            c.execute(
                insert(t.session).values(
                    name=session.name,
                    state="open",
                    body=codec.canonical(codec.plain(session)),
                    started_at=codec.stamp(session.started_at),
                )
            )
            self._tell(
                c,
                session.name,
                "session.started",
                session.started_at,
                actor,
                {
                    "pack": session.pack,
                    "participants": [p.email for p in session.participants],
                    "flags": codec.plain(session.flags),
                    "policy": session.policy_hash,
                },
            )
            return True

    def keep_pack(self, digest: str, pack: str, body: str) -> None:
        """Keep the text of a pack as sessions run it, under its digest; the same one is kept once."""
        if self.pack(digest):
            return
        with suppress(IntegrityError), writing(self._engine) as c:
            c.execute(insert(t.pack).values(digest=digest, id=pack, body=body))

    def pack(self, digest: str) -> str:
        """The text of the pack with that digest; empty when it was not kept."""
        with reading(self._engine) as c:
            return c.execute(select(t.pack.c.body).where(t.pack.c.digest == digest)).scalar() or ""

    def record(self, entry: Entry) -> bool:
        """Append an audit event; False when one with its key (if it has one) is there already."""
        try:
            with writing(self._engine) as c:
                if entry.key:
                    c.execute(
                        insert(t.request).values(
                            key=entry.key,
                            fingerprint=entry.kind,
                            decision_uid="",
                            number=0,
                            refused=entry.code,
                            sentence="",
                        )
                    )
                append(c, entry)
        except IntegrityError:
            return False
        return True

    def get(self, name: str) -> Session:
        """The session of that name.

        Raises:
            NotFound: naming the sessions there are.
        """
        with reading(self._engine) as c:
            body = c.execute(select(t.session.c.body).where(t.session.c.name == name)).scalar_one_or_none()
            names = list(c.execute(select(t.session.c.name).order_by(t.session.c.name)).scalars())
        if body is None:
            there = ", ".join(names) or "none yet"
            raise NotFound(
                f"No session is called {name}.", hint=f"Sessions: {there}. Start one: cairnops session start."
            )
        return codec.read(Session, json.loads(body))

    def state(self, name: str) -> str:
        """`open`, `closed`, or empty when there is no such session."""
        with reading(self._engine) as c:
            return c.execute(select(t.session.c.state).where(t.session.c.name == name)).scalar() or ""

    def join(self, name: str, participant: Actor, at: datetime) -> None:
        """Add somebody who was not on the list; harmless when they are.

        Raises:
            NotFound: when there is none of that name.
            CairnError: when they take part in another role.
        """
        with writing(self._engine) as c:
            # Read under the write lock: two who joined at once left one of them out.
            body = c.execute(select(t.session.c.body).where(t.session.c.name == name)).scalar_one_or_none()
            grown = json.loads(body) if body else None
            for there in grown["participants"] if grown else ():
                if there["email"] == participant.email and there["role"] != participant.role.value:
                    raise CairnError(
                        f"{participant.email} takes part in {name} as {there['role']}, "
                        f"not as {participant.role.value}.",
                        hint="Nobody has two roles in one session; choose another --session name.",
                    )
            if grown is not None and all(p["email"] != participant.email for p in grown["participants"]):
                grown["participants"].append(codec.plain(participant))
                c.execute(
                    update(t.session).where(t.session.c.name == name).values(body=codec.canonical(grown))
                )
                self._tell(c, name, "session.joined", at, participant, {"role": participant.role.value})
        if grown is None:
            self.get(name)

    def tick(self, name: str, task: str, actor: Actor, at: datetime) -> bool:
        """Record that a task of the checklist is done; False when it was already.

        Raises:
            NotFound: when there is no such session, or no such task in it.
        """
        tasks = [known.id for known in self.get(name).checklist]
        if task not in tasks:
            raise NotFound(
                f"Session {name} has no task {task}.", hint=f"Tasks: {', '.join(tasks) or 'none'}."
            )
        with writing(self._engine) as c:
            if task in self._ticked(c, name):
                return False
            self._tell(c, name, "session.task_done", at, actor, {"task": task})
            return True

    def ticked(self, name: str) -> dict[str, dict[str, str]]:
        """The tasks that are done: who did each, and when."""
        with reading(self._engine) as c:
            return self._ticked(c, name)

    def _ticked(self, c: Connection, name: str) -> dict[str, dict[str, str]]:
        rows = c.execute(
            select(t.event)
            .where(t.event.c.session == name, t.event.c.kind == "session.task_done")
            .order_by(t.event.c.seq)
        ).all()
        return {json.loads(row.body)["task"]: {"by": row.actor, "at": row.at} for row in rows}

    def turn(self, name: str, part: int, actor: Actor, at: datetime) -> bool:
        """Go to a part of the agenda (from 0; one past the last ends it); False when the room is there already.

        Raises:
            NotFound: when there is no such session, or no such part.
            CairnError: when the session is closed.
        """
        agenda = self.get(name).agenda
        if not 0 <= part <= len(agenda):
            raise NotFound(f"The agenda of {name} has no part {part + 1}.", hint=f"It has {len(agenda)}.")
        with writing(self._engine) as c:
            state = c.execute(select(t.session.c.state).where(t.session.c.name == name)).scalar()
            if state == "closed":
                raise CairnError(f"Session {name} is closed.", hint="Its agenda has come to its end.")
            before = self._turns(c, name)
            if before and before[-1].part == part:
                return False
            title = agenda[part].title if part < len(agenda) else ""
            self._tell(c, name, "session.agenda", at, actor, {"part": part, "title": title})
            return True

    def turns(self, name: str) -> list[Turn]:
        """How the room went through its agenda, oldest first."""
        with reading(self._engine) as c:
            return self._turns(c, name)

    def _turns(self, c: Connection, name: str) -> list[Turn]:
        rows = c.execute(
            select(t.event)
            .where(t.event.c.session == name, t.event.c.kind == "session.agenda")
            .order_by(t.event.c.seq)
        ).all()
        return [
            Turn(part=json.loads(row.body)["part"], at=codec.moment(row.at), by=row.actor) for row in rows
        ]

    def close(self, name: str, actor: Actor, at: datetime) -> bool:
        """Close the session; False when it was closed already.

        Raises:
            NotFound: when there is none of that name.
        """
        self.get(name)
        with writing(self._engine) as c:
            closed = c.execute(
                update(t.session)
                .where(t.session.c.name == name, t.session.c.state == "open")
                .values(state="closed")
            )
            if closed.rowcount != 1:
                return False
            self._tell(c, name, "session.closed", at, actor, {})
            return True

    def all(self) -> list[dict[str, Any]]:
        """Name, state, pack, start, and how many decisions, by start then name."""
        with reading(self._engine) as c:
            rows = c.execute(select(t.session).order_by(t.session.c.started_at, t.session.c.name)).all()
            counts = {
                row.session: row.decisions
                for row in c.execute(
                    select(t.decision.c.session, func.count().label("decisions"))
                    .where(t.decision.c.scope == "ops")
                    .group_by(t.decision.c.session)
                )
            }
        return [
            {
                "name": row.name,
                "state": row.state,
                "pack": json.loads(row.body)["pack"],
                "startedAt": row.started_at,
                "participants": [p["email"] for p in json.loads(row.body)["participants"]],
                "decisions": counts.get(row.name, 0),
            }
            for row in rows
        ]

    def assign(
        self, session: str, scenario: str, operator: str, wanted: str, at: datetime
    ) -> tuple[str, datetime]:
        """The conversation this operator works this scenario on, and when it begins there.

        When new it begins at `at`, on the first free variant of `wanted`. `operator` is empty for a copy
        everybody works on.

        The first to come gets the pack's own id, the next the same with 2, 3, … in front, so two people
        (or two sessions) never share a conversation.
        """
        mine = (
            t.assignment.c.session == session,
            t.assignment.c.scenario == scenario,
            t.assignment.c.operator == operator,
        )
        with writing(self._engine) as c:
            known = c.execute(select(t.assignment).where(*mine)).first()
            if known is not None:
                return str(known.conversation_id), codec.moment(known.at) if known.at else at
            taken = set(c.execute(select(t.assignment.c.conversation_id)).scalars())
            taken |= set(c.execute(select(t.conversation.c.id)).scalars())
            number, free = 1, wanted
            while free in taken:
                number += 1
                free = f"{number}{wanted}"
            c.execute(
                insert(t.assignment).values(
                    session=session,
                    scenario=scenario,
                    operator=operator,
                    conversation_id=free,
                    at=codec.stamp(at),
                )
            )
            return free, at

    def assigned(self) -> frozenset[str]:
        """The conversations that belong to some session."""
        with reading(self._engine) as c:
            return frozenset(c.execute(select(t.assignment.c.conversation_id)).scalars())

    def assignments(self, session: str) -> list[dict[str, str]]:
        """Who works which scenario on which conversation, and since when (empty where that was not kept)."""
        with reading(self._engine) as c:
            rows = c.execute(
                select(t.assignment)
                .where(t.assignment.c.session == session)
                .order_by(t.assignment.c.operator, t.assignment.c.scenario)
            ).all()
        return [dict(row._mapping) for row in rows]

    def probed(self, session: str, record: ProbeRecord, actor: Actor) -> None:
        """Keep one measurement."""
        with writing(self._engine) as c:
            c.execute(
                insert(t.probe).values(
                    session=session,
                    name=record.name,
                    at=codec.stamp(record.at),
                    status=record.status,
                    latency_ms=record.latency_ms or 0,
                    detail=record.detail,
                )
            )
            self._tell(
                c,
                session,
                "gate.probed",
                record.at,
                actor,
                {"probe": record.name, "status": record.status, "detail": record.detail},
            )

    def probes(self, session: str) -> list[ProbeRecord]:
        """Every measurement of the session, oldest first."""
        with reading(self._engine) as c:
            rows = c.execute(
                select(t.probe).where(t.probe.c.session == session).order_by(t.probe.c.seq)
            ).all()
        return [
            ProbeRecord(
                name=row.name,
                status=row.status,
                at=codec.moment(row.at),
                latency_ms=row.latency_ms,
                detail=row.detail,
            )
            for row in rows
        ]

    def note(self, row: Noted) -> bool:
        """Keep a worksheet row; False when its key is already there."""
        try:
            with writing(self._engine) as c:
                c.execute(
                    insert(t.worksheet).values(
                        key=row.key,
                        session=row.session,
                        scenario=row.scenario,
                        participant=row.participant.email,
                        conversation_id=row.conversation,
                        outcome=row.outcome,
                        note=row.note,
                        owner=row.owner,
                        due=codec.stamp(row.due) if row.due else "",
                        at=codec.stamp(row.at),
                    )
                )
                self._tell(
                    c,
                    row.session,
                    "worksheet.noted",
                    row.at,
                    row.participant,
                    {"outcome": row.outcome, "scenario": row.scenario},
                    conversation=row.conversation,
                )
        except IntegrityError:
            return False
        return True

    def notes(self, session: str, scenario: str = "", participant: str = "") -> list[dict[str, Any]]:
        """The worksheet rows written by hand, in the order written."""
        query = select(t.worksheet).where(t.worksheet.c.session == session).order_by(t.worksheet.c.seq)
        if scenario:
            query = query.where(t.worksheet.c.scenario == scenario)
        if participant:
            query = query.where(t.worksheet.c.participant == participant)
        with reading(self._engine) as c:
            return [dict(row._mapping) for row in c.execute(query).all()]

    def ran(
        self,
        session: str,
        scenario: str,
        operator: Actor,
        at: datetime,
        *,
        passed: bool,
        body: dict[str, Any],
    ) -> None:
        """Keep a scenario's result; an identical one is kept once."""
        text = codec.canonical(body)
        values = {
            "session": session,
            "scenario": scenario,
            "operator": operator.email,
            "digest": codec.digest(text),
        }
        with writing(self._engine) as c:
            same = [t.run.c[name] == value for name, value in values.items()]
            if c.execute(select(t.run.c.seq).where(*same)).first():
                return
            c.execute(insert(t.run).values(**values, at=codec.stamp(at), passed=int(passed), body=text))
            self._tell(c, session, "scenario.ran", at, operator, {"scenario": scenario, "passed": passed})

    def runs(self, session: str) -> list[dict[str, Any]]:
        """The newest result of every scenario and operator, in the order they were run."""
        with reading(self._engine) as c:
            rows = c.execute(select(t.run).where(t.run.c.session == session).order_by(t.run.c.seq)).all()
        newest = {(row.scenario, row.operator): row for row in rows}
        return [
            {
                "scenario": row.scenario,
                "operator": row.operator,
                "at": row.at,
                "passed": bool(row.passed),
                **json.loads(row.body),
            }
            for row in sorted(newest.values(), key=lambda r: r.seq)
        ]

    def _tell(
        self,
        c: Connection,
        session: str,
        kind: str,
        at: datetime,
        actor: Actor,
        body: dict[str, Any],
        conversation: str = "",
    ) -> None:
        append(c, Entry(kind=kind, at=at, actor=actor, session=session, conversation=conversation, body=body))


def participant(text: str) -> Actor:
    """`email` or `email:role` as an actor.

    Raises:
        CairnError: naming the roles there are.
    """
    email, _, role = text.partition(":")
    roles = [r.value for r in Role]
    if "@" not in email or (role and role not in roles):
        raise CairnError(
            f"{text!r} is no participant.", hint=f"Write email or email:role, role one of {', '.join(roles)}."
        )
    # One person is one person, however a mail program spells the address.
    return Actor(email=email.strip().lower(), role=Role(role) if role else Role.OPERATOR)
