"""The ledger: facts read in one go, changes written in one transaction, and the rows everything else reads."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    case,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from cairnops import codec
from cairnops.domain.actions import numbered
from cairnops.domain.changes import Change, Committed
from cairnops.domain.conversations import Actor, Conversation, Role
from cairnops.domain.decisions import Decision, uid_of
from cairnops.domain.delivery import RECHECKED
from cairnops.domain.requests import Facts, Flags, FollowUp, Held, PastDecision, Prior
from cairnops.domain.sla import Priority
from cairnops.domain.suggestions import Suggestion
from cairnops.errors import NotFound, StaleFacts
from cairnops.store import observations
from cairnops.store import tables as t
from cairnops.store.audit import append
from cairnops.store.engine import Interrupted, hurry, reading, repeatable, steady, writing
from cairnops.telemetry import tracing


@steady
class SqlLedger:
    """Everything that was committed, on one database."""

    def __init__(self, engine: Engine, destination: str = ""):
        """`destination` names the help desk that effects are for; see `SqlOutbox`."""
        self.engine, self.destination = engine, destination

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    # Facts in, changes out: what the desk needs.

    def facts(self, conversation: str, *, key: str, suggestion: str, session: str, flags: Flags) -> Facts:
        """See `desk.ports.Ledger.facts`."""
        with reading(self.engine) as c:
            row = c.execute(select(t.conversation).where(t.conversation.c.id == conversation)).first()
            if row is None:
                raise _unknown(conversation)
            # Shown on another conversation, it was not shown here.
            shown = (
                suggestion
                and c.execute(
                    select(t.suggestion.c.body).where(
                        t.suggestion.c.uid == suggestion, t.suggestion.c.conversation_id == conversation
                    )
                ).scalar()
            )
            prior = c.execute(select(t.request).where(t.request.c.key == key)).first() if key else None
            made = c.execute(
                select(t.decision.c["uid", "number", "action", "actor", "at"])
                .where(t.decision.c.conversation_id == conversation, t.decision.c.scope == "ops")
                .order_by(t.decision.c.number)
            ).all()
            promised = c.execute(
                select(t.follow_up)
                .where(t.follow_up.c.conversation_id == conversation)
                .order_by(t.follow_up.c.seq)
            ).all()
            # A private note that was lost is no reason to act again; what the customer or the queue sees is.
            undelivered = made and set(
                c.execute(
                    select(t.effect.c.decision_uid).where(
                        t.effect.c.conversation_id == conversation,
                        t.effect.c.kind != "note",
                        t.effect.c.state.in_(("failed", "timeout")),
                        # What is sent again is on its way again.
                        ~repeated(),
                    )
                ).scalars()
            )
            breaches = c.execute(
                select(t.breach.c.breached_at).where(
                    t.breach.c.customer_key == row.customer_key, t.breach.c.conversation_id != conversation
                )
            ).scalars()
            within = (
                session
                and c.execute(
                    select(t.session.c["started_at", "state"]).where(t.session.c.name == session)
                ).first()
            )
            claim = c.execute(select(t.claim).where(t.claim.c.conversation_id == conversation)).first()
            return Facts(
                conversation=codec.read(Conversation, json.loads(row.body)),
                version=row.version,
                flags=flags,
                suggestion=codec.read(Suggestion, json.loads(shown)) if shown else None,
                suggestion_uid=suggestion if shown else "",
                decisions=tuple(
                    PastDecision(
                        uid=d.uid,
                        number=d.number,
                        action=d.action,
                        actor=d.actor,
                        at=codec.moment(d.at),
                        undelivered=d.uid in undelivered,
                    )
                    for d in made
                ),
                follow_ups=tuple(
                    FollowUp(owner=f.owner, due=codec.moment(f.due), text=f.text) for f in promised
                ),
                other_breaches=tuple(codec.moment(b) for b in breaches),
                session_started_at=codec.moment(within.started_at) if within else None,
                session_closed=bool(within) and within.state == "closed",
                claim=held(claim) if claim else None,
                prior=Prior(
                    fingerprint=prior.fingerprint,
                    decision=prior.decision_uid,
                    number=prior.number,
                    refused=prior.refused,
                    sentence=prior.sentence,
                )
                if prior
                else None,
            )

    def commit(self, change: Change) -> Committed:
        """See `desk.ports.Ledger.commit`."""
        try:
            with writing(self.engine, over=_conversation(change.conversation)) as c:
                return self._commit(c, change)
        except Interrupted as error:
            if not error.unclear:
                raise
            # The connection broke while it was being committed: whether it was is there to be read.
            return self._landed(change) or self.commit(change)
        except IntegrityError as error:
            # Somebody else committed the same key between our read and our write.
            raise StaleFacts from error

    def _landed(self, change: Change) -> Committed | None:
        """What became of a commit that nobody saw the end of; None when it was not made."""
        entry = change.entry
        with reading(self.engine) as c:
            told = c.execute(
                select(t.event.c.body).where(
                    t.event.c.key == entry.key,
                    t.event.c.kind == entry.kind,
                    t.event.c.actor == entry.actor.email,
                    t.event.c.at == codec.stamp(entry.at),
                    t.event.c.conversation_id == change.conversation,
                )
            ).scalar()
            if told is None:
                return None
            version = c.execute(
                select(t.conversation.c.version).where(t.conversation.c.id == change.conversation)
            ).scalar_one()
        effects = tuple(_effect_uid(change, place) for place in range(len(change.effects)))
        return Committed(number=json.loads(told).get("number", 0), version=version, effects=effects)

    def _commit(self, c: Connection, change: Change) -> Committed:
        version = self._version(c, change)
        decision_uid = change.decision.uid if change.decision else ""
        if change.shown is not None:
            uid, shown = change.shown
            c.execute(
                insert(t.suggestion).values(
                    uid=uid,
                    conversation_id=change.conversation,
                    session=change.entry.session,
                    at=codec.stamp(change.entry.at),
                    body=codec.canonical(codec.plain(shown)),
                )
            )
        if change.follow_up is not None:
            c.execute(
                insert(t.follow_up).values(
                    conversation_id=change.conversation,
                    session=change.entry.session,
                    decision_uid=decision_uid,
                    owner=change.follow_up.owner,
                    due=codec.stamp(change.follow_up.due),
                    text=change.follow_up.text,
                    at=codec.stamp(change.entry.at),
                )
            )
        # As late as can be: whoever wants the next one waits until this is committed.
        number = _next_number(c) if change.decision is not None else 0
        hurry(c)
        if change.decision is not None:
            _keep(c, change.conversation, numbered(change.decision, number))
        if change.keyed is not None:
            c.execute(
                insert(t.request).values(
                    key=change.keyed.key,
                    fingerprint=change.keyed.fingerprint,
                    decision_uid=decision_uid,
                    number=number,
                    refused=change.keyed.refused,
                    sentence=change.keyed.sentence,
                )
            )
        effects = self._enqueue(c, change, decision_uid, number)
        append(c, change.entry, {"decision": decision_uid, "number": number} if number else {})
        return Committed(number=number, version=version, effects=effects)

    def _version(self, c: Connection, change: Change) -> int:
        """Check the version the facts were read at; a decision or a promise moves it on."""
        now = c.execute(
            select(t.conversation.c.version).where(t.conversation.c.id == change.conversation)
        ).scalar_one_or_none()
        # It may have been removed since it was read; then there is nothing to decide on.
        if now is None or (change.expect is not None and now != change.expect):
            raise StaleFacts
        if change.expect is None:
            return int(now)
        if change.decision is None and change.follow_up is None:
            return int(now)
        c.execute(
            update(t.conversation)
            .where(t.conversation.c.id == change.conversation)
            .values(version=t.conversation.c.version + 1)
        )
        return int(now) + 1

    def _enqueue(self, c: Connection, change: Change, decision_uid: str, number: int) -> tuple[str, ...]:
        urgent = change.decision is not None and change.decision.priority == Priority.P1.value
        seen = codec.canonical(codec.plain(change.seen)) if change.seen is not None and change.effects else ""
        trace = tracing.carried()
        uids = tuple(_effect_uid(change, position) for position in range(len(change.effects)))
        rows = [
            {
                "uid": uid,
                "run_key": f"cairnops-{uid}",
                "decision_uid": decision_uid,
                "number": number,
                "conversation_id": change.conversation,
                "session": change.entry.session,
                "kind": draft.kind.value,
                "payload": codec.canonical(dict(draft.payload)),
                "state": "ready",
                "attempt": 0,
                "looks": 0,
                "last_error": "",
                "due_ms": 0,
                "owner": "",
                "destination": self.destination,
                "urgency": 1 if urgent else 2,
                "seen": seen if draft.kind in RECHECKED else "",
                "trace": trace,
            }
            for uid, draft in zip(uids, change.effects, strict=True)
        ]
        if rows:
            c.execute(insert(t.effect).inline(), rows)
        return uids

    @repeatable
    def observe(
        self, conversation: Conversation, *, at: datetime, actor: Actor, breached_at: datetime | None
    ) -> int:
        """See `desk.ports.Ledger.observe`."""
        read = observations.Reading.of(conversation, self.destination)
        with writing(self.engine, over=_conversation(conversation.id)) as c:
            return observations.keep(c, read, at=at, actor=actor, breached_at=breached_at)

    # What was committed, as rows.

    def conversation(self, conversation: str) -> Conversation | None:
        """The conversation as it was last observed, or None."""
        with reading(self.engine) as c:
            body = c.execute(
                select(t.conversation.c.body).where(t.conversation.c.id == conversation)
            ).scalar_one_or_none()
        return codec.read(Conversation, json.loads(body)) if body else None

    def version(self, conversation: str) -> int:
        """The version of the conversation, which grows whenever it changes.

        Raises:
            NotFound: when it has not been observed.
        """
        with reading(self.engine) as c:
            found = c.execute(
                select(t.conversation.c.version).where(t.conversation.c.id == conversation)
            ).scalar()
        if found is None:
            raise _unknown(conversation)
        return int(found)

    def conversations(self) -> list[Conversation]:
        """Every conversation as it was last observed, by id."""
        with reading(self.engine) as c:
            bodies = c.execute(select(t.conversation.c.body).order_by(t.conversation.c.id)).scalars().all()
        return [codec.read(Conversation, json.loads(body)) for body in bodies]

    def suggestion(self, uid: str) -> Suggestion | None:
        """The suggestion that was shown under that uid, or None."""
        with reading(self.engine) as c:
            body = c.execute(
                select(t.suggestion.c.body).where(t.suggestion.c.uid == uid)
            ).scalar_one_or_none()
        return codec.read(Suggestion, json.loads(body)) if body else None

    def actor_of(self, key: str) -> Actor | None:
        """Who made the request with that key; None when there is none."""
        with reading(self.engine) as c:
            row = c.execute(
                select(t.event.c["actor", "role"])
                .where(t.event.c.key == key)
                .order_by(t.event.c.seq)
                .limit(1)
            ).first()
        return Actor(email=row.actor, role=Role(row.role)) if row else None

    def known(self, key: str) -> bool:
        """True when a request with that key has been committed."""
        with reading(self.engine) as c:
            return c.execute(select(t.request.c.key).where(t.request.c.key == key)).first() is not None

    def decisions(
        self,
        *,
        session: str = "",
        conversation: str = "",
        action: str = "",
        actor: str = "",
        scope: str = "",
        uid: str = "",
        number: int = 0,
        last: int = 0,
    ) -> list[dict[str, Any]]:
        """Decision records in number order: the hashed body as data, plus `leafHash`; empty filters match all.

        `last`: so many of the newest, 0 for all.
        """
        d = t.decision.c
        wanted = {
            d.session: session, d.conversation_id: conversation, d.action: action, d.actor: actor,
            d.scope: scope, d.uid: uid, d.number: number,
        }  # fmt: skip
        query = select(d["body", "leaf_hash"]).where(and_(True, *(k == v for k, v in wanted.items() if v)))
        query = query.order_by(d.number.desc()).limit(last) if last else query.order_by(d.number)
        with reading(self.engine) as c:
            rows = c.execute(query).all()
        rows = rows[::-1] if last else rows
        return [{**json.loads(row.body), "leafHash": row.leaf_hash} for row in rows]

    def deliveries(
        self, *, session: str = "", decision: str = "", conversation: str = ""
    ) -> list[dict[str, Any]]:
        """Every effect with its state, in commit order; `final` and `attempts` hold what was recorded."""
        e, s, a = t.effect.c, t.sync_event, t.attempt
        wanted = {e.session: session, e.decision_uid: decision, e.conversation_id: conversation}
        chosen = and_(True, *(k == v for k, v in wanted.items() if v))
        with reading(self.engine) as c:
            rows = c.execute(
                select(
                    t.effect, s.c.status, s.c.attempt.label("final_attempt"), s.c.error_code,
                    s.c.duration_us, s.c.recovered, s.c.at.label("final_at"),
                ).select_from(t.effect.outerjoin(s, s.c.effect_uid == e.uid)).where(chosen).order_by(e.seq)
            ).all()  # fmt: skip
            tries = c.execute(
                select(a).join(t.effect, a.c.effect_uid == e.uid).where(chosen).order_by(e.seq, a.c.attempt)
            ).all()
        by_effect: dict[str, list[dict[str, Any]]] = {}
        for row in tries:
            by_effect.setdefault(row.effect_uid, []).append(
                {
                    "attempt": row.attempt,
                    "at": row.at,
                    "answer": row.answer,
                    "error_code": row.error_code,
                    "duration_us": row.duration_us,
                }
            )
        return [
            {
                "uid": row.uid,
                "run_key": row.run_key,
                "decision": row.decision_uid,
                "number": row.number,
                "conversation": row.conversation_id,
                "session": row.session,
                "kind": row.kind,
                "payload": json.loads(row.payload),
                "state": row.state,
                "final": {
                    "status": row.status,
                    "attempt": row.final_attempt,
                    "error_code": row.error_code,
                    "duration_us": row.duration_us,
                    "recovered": bool(row.recovered),
                    "at": row.final_at,
                }
                if row.status
                else None,
                "attempts": by_effect.get(row.uid, []),
            }
            for row in rows
        ]

    def events(self, *, session: str = "", conversation: str = "", kind: str = "") -> list[dict[str, Any]]:
        """Audit events in the order they were committed."""
        e = t.event.c
        wanted = {e.session: session, e.conversation_id: conversation, e.kind: kind}
        with reading(self.engine) as c:
            rows = c.execute(
                select(t.event).where(and_(True, *(k == v for k, v in wanted.items() if v))).order_by(e.seq)
            ).all()
        return [{**row._mapping, "body": json.loads(row.body)} for row in rows]

    def follow_ups(self, *, session: str = "", conversation: str = "") -> list[dict[str, Any]]:
        """Promises with owner and due time, oldest first."""
        f = t.follow_up.c
        wanted = {f.session: session, f.conversation_id: conversation}
        with reading(self.engine) as c:
            rows = c.execute(
                select(t.follow_up)
                .where(and_(True, *(k == v for k, v in wanted.items() if v)))
                .order_by(f.seq)
            ).all()
        return [dict(row._mapping) for row in rows]

    def last_decisions(self) -> dict[str, tuple[str, str]]:
        """For each conversation the action decided on last, and how its effects stand.

        They are `failed` when one did not arrive or nobody knows, `parked` when one waits for a person, `open`
        while one is on its way, else `done`.
        """
        d, e = t.decision.c, t.effect.c
        last = (
            select(d.conversation_id, func.max(d.number).label("number"))
            .where(d.scope == "ops")
            .group_by(d.conversation_id)
            .subquery()
        )
        pending = func.sum(case((e.due_ms.is_not(None), 1), else_=0))
        lost = func.sum(case((and_(e.state.in_(("failed", "timeout", "unknown")), ~repeated()), 1), else_=0))
        parked = func.sum(case((e.state == "parked", 1), else_=0))
        query = (
            select(
                d.conversation_id,
                d.action,
                pending.label("pending"),
                lost.label("lost"),
                parked.label("parked"),
            )
            .select_from(
                t.decision.join(last, d.number == last.c.number).outerjoin(t.effect, e.decision_uid == d.uid)
            )
            .group_by(d.conversation_id, d.action)
        )
        with reading(self.engine) as c:
            rows = c.execute(query).all()
        return {
            row.conversation_id: (
                row.action,
                "failed" if row.lost else "parked" if row.parked else "open" if row.pending else "done",
            )
            for row in rows
        }

    def newest(self, conversation: str = "") -> int:
        """The number of the newest event, or of one conversation's newest; 0 when there is none.

        It grows with every commit that is audited.
        """
        newest = select(func.max(t.event.c.seq))
        if conversation:
            newest = newest.where(t.event.c.conversation_id == conversation)
        with reading(self.engine) as c:
            return c.execute(newest).scalar_one() or 0

    def writable(self) -> None:
        """Make sure that a decision could be written now.

        Raises:
            WorkspaceError: when the database cannot be written.
        """
        with writing(self.engine, over="") as c:
            c.execute(update(t.counter).where(t.counter.c.name == "decision").values(value=t.counter.c.value))

    def counts(self) -> dict[str, int]:
        """How many decisions, unfinished effects and events there are."""
        with reading(self.engine) as c:
            return {
                "decisions": c.execute(select(func.count()).select_from(t.decision)).scalar_one(),
                "undelivered": c.execute(
                    select(func.count()).select_from(t.effect).where(t.effect.c.due_ms.is_not(None))
                ).scalar_one(),
                "events": c.execute(select(func.count()).select_from(t.event)).scalar_one(),
            }


#: What the run key of a repeated effect ends with after that of the first: keys are unique, so one is repeated once.
AGAIN = ".again"


def repeated() -> ColumnElement[bool]:
    """Whether a person has had the effect sent again, as another; see `SqlJobs.retry`."""
    later = t.effect.alias("again")
    return exists(select(later.c.seq).where(later.c.run_key == t.effect.c.run_key + AGAIN))


def held(row: Row[Any]) -> Held:
    """A row of `claim` as the domain knows it."""
    return Held(
        conversation=row.conversation_id,
        actor=Actor(email=row.actor, role=Role(row.role)),
        tab=row.tab,
        session=row.session,
        since=codec.moment(row.since),
        until_ms=row.until_ms,
    )


def _conversation(conversation: str) -> str:
    """What a change of that conversation waits for, on whatever it is decided."""
    return f"conversation {conversation}"


def _unknown(conversation: str) -> NotFound:
    return NotFound(
        f"Conversation {conversation} is not in this workspace.",
        hint="cairnops dryrun run seeds a pack's conversations.",
    )


def _effect_uid(change: Change, position: int) -> str:
    return uid_of(change.entry.at, "effect", change.entry.key, str(position))


def _next_number(c: Connection) -> int:
    """The next decision's number; they have no gaps, whatever is rolled back."""
    counted = update(t.counter).where(t.counter.c.name == "decision").values(value=t.counter.c.value + 1)
    return int(c.execute(counted.returning(t.counter.c.value)).scalar_one())


def _keep(c: Connection, conversation: str, decision: Decision) -> None:
    body = codec.canonical(codec.record(decision))
    c.execute(
        insert(t.decision).values(
            uid=decision.uid,
            number=decision.decision_id,
            scope=decision.scope.value,
            action=decision.action,
            actor=decision.actor.email,
            conversation_id=conversation,
            session=decision.session,
            request_key=decision.request_key,
            at=codec.stamp(decision.created_at),
            body=body,
            leaf_hash=codec.leaf_hash(body),
        )
    )
