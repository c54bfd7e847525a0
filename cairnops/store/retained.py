"""Which row may leave a ledger that only grows: what triggers let go and what retention removes is one condition.

A row goes when an audit event by somebody says until when rows of its kind go, and a row of `retention` points to that
event. A decision goes when, besides, it has its place in the log and a tombstone stands with its number and its hash.
All of that was there before and can never be removed, so there is no way to take something away and leave no trace.
"""

from collections.abc import Iterator

from cairnops.domain.policy import KEPT_DAYS

APPLIED, REMOVED = "retention.applied", "retention.removed"

#: Before this moment anything may go at all, by the database's own clock.
_FLOOR = {
    "sqlite": f"strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{KEPT_DAYS} days')",
    "postgresql": f"to_char((now() - interval '{KEPT_DAYS} days') AT TIME ZONE 'UTC', "
    '\'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')',
}
#: The event that tells of a retention.
_TOLD = f"JOIN event v ON v.seq = r.event AND v.kind = '{APPLIED}' AND v.actor = r.actor"


class _Words:
    """The conditions, about rows called `row`; `only` narrows them to certain retentions."""

    def __init__(self, row: str, only: str):
        self.row, self._only = row, only

    def before(self, kind: str, column: str) -> str:
        """What happened before the moment until which rows of that kind go."""
        return (
            f"EXISTS (SELECT 1 FROM retention r {_TOLD} "
            f"WHERE r.kind = '{kind}' AND {column} < r.until AND {self._only})"
        )

    def buried(self, uid: str) -> str:
        """What hangs on a decision that stands in the log and has its tombstone."""
        return (
            "EXISTS (SELECT 1 FROM tombstone b JOIN decision d "
            "ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash "
            "JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash "
            f"JOIN retention r ON r.seq = b.retention {_TOLD} "
            f"WHERE b.uid = {uid} AND r.kind = 'decisions' AND d.at < r.until AND {self._only})"
        )

    def not_newest(self, table: str, seq: str) -> str:
        """The newest row stays, or its number would be given again."""
        return f"{seq} < (SELECT max(n.seq) FROM {table} n)"

    def of_effect(self, else_: str) -> str:
        """What became of an effect that has ended and goes as well; `else_` for one no decision was made about."""
        return (
            f"EXISTS (SELECT 1 FROM effect e WHERE e.uid = {self.row}.effect_uid AND e.due_ms IS NULL "
            f"AND {self.not_newest('effect', 'e.seq')} AND ({self.buried('e.decision_uid')} "
            f"OR (e.decision_uid = '' AND {else_})))"
        )

    def unless(self, table: str, what: str) -> str:
        """Nothing there needs it any more."""
        return f"NOT EXISTS (SELECT 1 FROM {table} x WHERE {what})"


def _conditions(row: str, only: str) -> Iterator[tuple[str, str, str, str]]:
    """Kind, table, the column that says when, and the condition, in the order in which rows can go."""
    w = _Words(row, only)
    practised = w.unless("assignment", f"x.conversation_id = {row}.conversation_id")
    session_gone = w.unless("session", f"x.name = {row}.session")
    yield (
        "training",
        "session",
        "started_at",
        _and(
            w.before("training", f"{row}.started_at"),
            *(
                f"NOT EXISTS (SELECT 1 FROM {table} x WHERE x.session = {row}.name "
                f"AND NOT {_Words('x', only).before('training', 'x.at')})"
                for table in ("run", "worksheet", "probe", "decision")
            ),
        ),
    )
    yield "training", "assignment", "at", _and(w.before("training", f"{row}.at"), session_gone)
    for table in ("run", "worksheet", "probe"):
        gone = w.before("training", f"{row}.at"), w.not_newest(table, f"{row}.seq"), session_gone
        yield "training", table, "at", _and(*gone)
    # What is practised belongs to its session.
    yield (
        "transcripts",
        "conversation",
        "at",
        _and(
            w.before("transcripts", f"{row}.at"),
            w.unless("assignment", f"x.conversation_id = {row}.id"),
            w.unless("effect", f"x.conversation_id = {row}.id AND x.due_ms IS NOT NULL"),
        ),
    )
    yield (
        "transcripts",
        "breach",
        "breached_at",
        _and(
            w.before("transcripts", f"{row}.breached_at"),
            w.unless("conversation", f"x.id = {row}.conversation_id"),
        ),
    )
    for table in ("suggestion", "draft"):
        yield "transcripts", table, "at", _and(w.before("transcripts", f"{row}.at"), practised)
    yield "decisions", "sync_event", "at", w.of_effect(w.before("decisions", f"{row}.at"))
    still = w.unless("sync_event", f"x.effect_uid = {row}.effect_uid")
    yield "decisions", "attempt", "at", w.of_effect(_and(w.before("decisions", f"{row}.at"), still))
    told = w.unless("sync_event", f"x.effect_uid = {row}.uid")
    yield (
        "decisions",
        "effect",
        "",
        _and(
            f"{row}.due_ms IS NULL",
            w.not_newest("effect", f"{row}.seq"),
            f"({w.buried(f'{row}.decision_uid')} OR ({row}.decision_uid = '' AND {told}))",
        ),
    )
    yield (
        "decisions",
        "decision",
        "at",
        _and(w.buried(f"{row}.uid"), w.unless("effect", f"x.decision_uid = {row}.uid")),
    )
    yield (
        "decisions",
        "follow_up",
        "at",
        _and(
            w.before("decisions", f"{row}.at"),
            w.before("decisions", f"{row}.due"),
            w.not_newest("follow_up", f"{row}.seq"),
            w.unless("decision", f"x.uid = {row}.decision_uid"),
        ),
    )
    yield (
        "decisions",
        "event",
        "at",
        _and(
            w.before("decisions", f"{row}.at"),
            w.not_newest("event", f"{row}.seq"),
            # Who sealed and who removed is known for good.
            f"substr({row}.kind, 1, 7) <> 'ledger.'",
            f"substr({row}.kind, 1, 10) <> 'retention.'",
            f"({row}.key = '' OR {w.unless('decision', f'x.request_key = {row}.key')})",
            f"({row}.session = '' OR {session_gone})",
        ),
    )
    yield (
        "decisions",
        "request",
        "",
        _and(
            # Its own moment is that of its event.
            w.before("decisions", "''"),
            w.unless("event", f"x.key = {row}.key"),
            w.unless("decision", f"x.request_key = {row}.key"),
        ),
    )


def _and(*parts: str) -> str:
    return " AND ".join(parts)


def conditions(dialect: str) -> dict[str, str]:
    """When a trigger lets a row of a table go; the row is called OLD."""
    only = f"r.until <= {_FLOOR[dialect]}"
    return {table: condition for _, table, _, condition in _conditions("OLD", only)}


#: Puts up the tombstones of the retention `:run`: for what is in the log, and has nothing left to be delivered.
TOMBSTONES = (
    "INSERT INTO tombstone (uid, number, leaf_hash, retention) "
    "SELECT d.uid, d.number, d.leaf_hash, r.seq FROM retention r "
    "JOIN decision d ON d.at < r.until JOIN seal l ON l.decision_uid = d.uid AND l.leaf_hash = d.leaf_hash "
    "WHERE r.seq = :run AND NOT EXISTS (SELECT 1 FROM effect e WHERE e.decision_uid = d.uid "
    "AND (e.due_ms IS NOT NULL OR e.seq = (SELECT max(n.seq) FROM effect n)))"
)


def removals(kind: str) -> list[tuple[str, str, str]]:
    """Table, the column that says when (or nothing), and what of it goes under the retention `:run`, in this order."""
    return [
        (table, column, condition.replace("{row}", table))
        for of, table, column, condition in _conditions("{row}", "r.seq = :run")
        if of == kind
    ]
