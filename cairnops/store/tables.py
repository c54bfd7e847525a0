"""The ledger's tables: what is kept, and which of it only ever grows.

To add a table or a column: write it down here, put the table into `APPEND_ONLY` if its rows never
change, raise `SCHEMA_VERSION` unless this version is yet to be released, and run
`python -m tests.contract.steps`: it writes the step that brings databases made before to this layout.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
)

from cairnops.store.columns import String, Text

metadata = MetaData()

#: The layout of these tables; an older database is refused with the command that mends it.
SCHEMA_VERSION = 2

# Autoincrementing keys must be plain INTEGER on SQLite and BIGINT on PostgreSQL.
_Seq = BigInteger().with_variant(Integer, "sqlite")
_Uid = String(40)
_At = String(24)
# SQLite hides a second key, the rowid, in tables without one; INSERT OR REPLACE on it rewrote a decision
# past every trigger.
_NO_HIDDEN_KEY: dict[str, Any] = {"sqlite_with_rowid": False}


def _sequence() -> Column[int]:
    # SQLite tells a trigger -1 for a number that is yet to be given, so a row of that number would make
    # every later insert look like a repeat.
    return Column("seq", _Seq, CheckConstraint("seq > 0"), primary_key=True, autoincrement=True)


meta = Table(
    "meta", metadata, Column("key", String(40), primary_key=True), Column("value", Text, nullable=False)
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

conversation = Table(
    "conversation",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("customer_key", String(200), nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("at", _At, nullable=False),
    #: How far which help desk had come when it was read: what is read of the same one with less is older.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("destination", String(300), nullable=False, server_default=""),
)

event = Table(
    "event",
    metadata,
    _sequence(),
    Column("at", _At, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("conversation_id", String(40), nullable=False, index=True),
    Column("session", String(80), nullable=False, index=True),
    Column("key", String(400), nullable=False, index=True),
    Column("code", String(60), nullable=False),
    Column("body", Text, nullable=False),
)

request = Table(
    "request",
    metadata,
    Column("key", String(400), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("decision_uid", _Uid, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("refused", String(60), nullable=False),
    Column("sentence", Text, nullable=False),
    **_NO_HIDDEN_KEY,
)

decision = Table(
    "decision",
    metadata,
    Column("uid", _Uid, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("scope", String(10), nullable=False),
    Column("action", String(40), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("conversation_id", String(40), nullable=False),
    Column("session", String(80), nullable=False),
    Column("request_key", String(400), nullable=False, unique=True),
    Column("at", _At, nullable=False),
    #: RFC 8785 text; the hash is over exactly these bytes.
    Column("body", Text, nullable=False),
    Column("leaf_hash", String(64), nullable=False),
    Index("decision_by_conversation", "conversation_id", "number"),
    Index("decision_by_session", "session", "number"),
    **_NO_HIDDEN_KEY,
)

effect = Table(
    "effect",
    metadata,
    _sequence(),
    Column("uid", _Uid, nullable=False, unique=True),
    Column("run_key", String(80), nullable=False, unique=True),
    Column("decision_uid", _Uid, nullable=False, index=True),
    Column("number", BigInteger, nullable=False),
    Column("conversation_id", String(40), nullable=False),
    Column("session", String(80), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("payload", Text, nullable=False),
    #: ready, sending, looking, parked (taken out of the queue by a person), or the lower-case final status.
    Column("state", String(10), nullable=False),
    Column("attempt", Integer, nullable=False),
    #: Look-ups of the present attempt that stayed without an answer.
    Column("looks", Integer, nullable=False),
    Column("last_error", String(40), nullable=False),
    #: The effect's only clock (epoch milliseconds): next try, next look-up, or end of lease; NULL when finished.
    Column("due_ms", BigInteger),
    Column("owner", String(40), nullable=False),
    #: The help desk it is for; empty for what was decided before help desks were told apart.
    Column("destination", String(300), nullable=False, server_default=""),
    #: 1 for what the most urgent cases wait for, 2 for the rest: the lower goes first, within its conversation never.
    Column("urgency", Integer, nullable=False, server_default="2"),
    #: How the conversation stood when this was decided; empty when it is sent however it stands now.
    Column("seen", Text, nullable=False, server_default=""),
    #: The step it was committed in, as tracing carries it on (a W3C `traceparent`); empty where nobody listened.
    Column("trace", String(60), nullable=False, server_default=""),
)
_unfinished: dict[str, Any] = dict.fromkeys(
    ("sqlite_where", "postgresql_where"), effect.c.due_ms.is_not(None)
)
Index("effect_turn", effect.c.urgency, effect.c.due_ms, effect.c.seq, **_unfinished)
Index("effect_open", effect.c.conversation_id, effect.c.seq, **_unfinished)

attempt = Table(
    "attempt",
    metadata,
    Column("effect_uid", _Uid, ForeignKey("effect.uid"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("at", _At, nullable=False),
    #: ok, reject, retry, unknown, or lost (the worker died before it could say).
    Column("answer", String(10), nullable=False),
    Column("error_code", String(40), nullable=False),
    #: Microseconds; NULL for a lost attempt, whose end nobody saw.
    Column("duration_us", BigInteger),
    **_NO_HIDDEN_KEY,
)

sync_event = Table(
    "sync_event",
    metadata,
    Column("effect_uid", _Uid, ForeignKey("effect.uid"), primary_key=True),
    Column("status", String(10), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("error_code", String(40), nullable=False),
    Column("duration_us", BigInteger),
    #: True when a look-up, not the attempt itself, told that it had been delivered.
    Column("recovered", Integer, nullable=False),
    Column("at", _At, nullable=False),
    **_NO_HIDDEN_KEY,
)

suggestion = Table(
    "suggestion",
    metadata,
    Column("uid", _Uid, primary_key=True),
    Column("conversation_id", String(40), nullable=False),
    Column("session", String(80), nullable=False),
    Column("at", _At, nullable=False),
    Column("body", Text, nullable=False),
    **_NO_HIDDEN_KEY,
)

follow_up = Table(
    "follow_up",
    metadata,
    _sequence(),
    Column("conversation_id", String(40), nullable=False, index=True),
    Column("session", String(80), nullable=False),
    Column("decision_uid", _Uid, nullable=False),
    Column("owner", String(200), nullable=False),
    Column("due", _At, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", _At, nullable=False),
)

breach = Table(
    "breach",
    metadata,
    Column("conversation_id", String(40), primary_key=True),
    Column("breached_at", _At, primary_key=True),
    Column("customer_key", String(200), nullable=False, index=True),
    **_NO_HIDDEN_KEY,
)

session = Table(
    "session",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("body", Text, nullable=False),
    Column("started_at", _At, nullable=False),
)

assignment = Table(
    "assignment",
    metadata,
    Column("session", String(80), primary_key=True),
    Column("scenario", String(80), primary_key=True),
    #: Empty for a copy everybody works on.
    Column("operator", String(200), primary_key=True),
    Column("conversation_id", String(40), nullable=False, unique=True),
    #: When the scenario begins there.
    Column("at", _At, nullable=False, server_default=""),
    **_NO_HIDDEN_KEY,
)

pack = Table(
    "pack",
    metadata,
    #: SHA-256, as the session has it; the text is the pack as the session runs it.
    Column("digest", String(64), primary_key=True),
    Column("id", String(80), nullable=False),
    Column("body", Text, nullable=False),
    **_NO_HIDDEN_KEY,
)

#: Who has a conversation open now; one row a conversation, so two can never have it.
claim = Table(
    "claim",
    metadata,
    Column("conversation_id", String(40), primary_key=True),
    Column("actor", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("tab", String(80), nullable=False, index=True),
    Column("session", String(80), nullable=False),
    Column("since", _At, nullable=False),
    #: End of the lease, epoch milliseconds.
    Column("until_ms", BigInteger, nullable=False),
)

#: What somebody has typed and not sent, and the keys their form was drawn with.
draft = Table(
    "draft",
    metadata,
    Column("conversation_id", String(40), primary_key=True),
    Column("actor", String(200), primary_key=True),
    Column("session", String(80), nullable=False),
    Column("opening", String(80), nullable=False),
    Column("key", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    #: NULL: the suggestion stands as it is.
    Column("text", Text),
    Column("note", Text, nullable=False),
    Column("at", _At, nullable=False),
)

#: Who delivers now; a row goes with its worker unless that was killed.
worker = Table(
    "worker",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("host", String(80), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(20), nullable=False),
    Column("destination", String(300), nullable=False),
    #: How many effects it may have under way at once.
    Column("concurrency", Integer, nullable=False),
    Column("started", _At, nullable=False),
    #: Its last sign of life, by the database's clock (epoch milliseconds).
    Column("beat_ms", BigInteger, nullable=False),
    #: How many effects ended in its hands, and how many of them did not arrive.
    Column("delivered", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
)

#: How fast a help desk may be asked, whoever asks.
bucket = Table(
    "bucket",
    metadata,
    Column("destination", String(300), primary_key=True),
    #: When the next request may go (epoch microseconds).
    Column("free_us", BigInteger, nullable=False),
)

#: When a help desk was last down; one row a help desk, so that one question an interval is asked of it.
outage = Table(
    "outage",
    metadata,
    Column("destination", String(300), primary_key=True),
    Column("since", _At, nullable=False),
    #: Empty while it lasts.
    Column("ended", _At, nullable=False),
    Column("error", String(40), nullable=False),
    #: When somebody may ask again (epoch milliseconds).
    Column("ask_ms", BigInteger, nullable=False),
)

probe = Table(
    "probe",
    metadata,
    _sequence(),
    Column("session", String(80), nullable=False, index=True),
    Column("name", String(40), nullable=False),
    Column("at", _At, nullable=False),
    Column("status", String(10), nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("detail", Text, nullable=False),
)

worksheet = Table(
    "worksheet",
    metadata,
    _sequence(),
    Column("key", String(400), nullable=False, unique=True),
    Column("session", String(80), nullable=False, index=True),
    Column("scenario", String(80), nullable=False),
    Column("participant", String(200), nullable=False),
    Column("conversation_id", String(40), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("owner", String(200), nullable=False),
    Column("due", _At, nullable=False),
    Column("at", _At, nullable=False),
)

run = Table(
    "run",
    metadata,
    _sequence(),
    Column("session", String(80), nullable=False),
    Column("scenario", String(80), nullable=False),
    Column("operator", String(200), nullable=False),
    Column("at", _At, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("session", "scenario", "operator", "digest"),
)

ledger_key = Table(
    "ledger_key",
    metadata,
    _sequence(),
    #: The log's name, given once: that of the first key, whatever the shop is called later.
    Column("origin", String(200), nullable=False),
    #: The 32 bytes in hex.
    Column("public", String(64), nullable=False, unique=True),
    #: The note with which the key before it handed over; empty for the first.
    Column("statement", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", _At, nullable=False),
)

#: One place in the log for one decision: two who seal at once cannot both take it.
seal = Table(
    "seal",
    metadata,
    Column("log_index", BigInteger, CheckConstraint("log_index >= 0"), primary_key=True),
    Column("decision_uid", _Uid, nullable=False, unique=True),
    Column("leaf_hash", String(64), nullable=False),
    **_NO_HIDDEN_KEY,
)

checkpoint = Table(
    "checkpoint",
    metadata,
    _sequence(),
    Column("size", BigInteger, nullable=False),
    #: The key that signed; it signs one root for a size, never two.
    Column("key_id", String(8), nullable=False),
    Column("root", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", _At, nullable=False),
    UniqueConstraint("size", "key_id"),
)

baseline = Table(
    "baseline",
    metadata,
    _sequence(),
    Column("at", _At, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    #: started, stopped, dropped (a watch stopped without a measurement), added, or withdrawn.
    Column("kind", String(10), nullable=False),
    Column("measure", String(20), nullable=False),
    #: What was measured by hand, seconds; NULL for a row that holds no measurement.
    Column("seconds", BigInteger),
    #: Where the figure comes from, or why one was withdrawn.
    Column("source", Text, nullable=False),
    #: The row this one stops, drops or withdraws; a watch is stopped once. NULL for the others.
    Column("of_seq", BigInteger, unique=True),
)

imported = Table(
    "imported",
    metadata,
    _sequence(),
    #: Of the file as it lay on disk: the same bytes are imported once.
    Column("sha256", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("rejects", BigInteger, nullable=False),
    #: When the file's name says it was made, empty if it does not; and when the file system says so.
    Column("claimed_at", _At, nullable=False),
    Column("observed_at", _At, nullable=False),
    Column("at", _At, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("body", Text, nullable=False),
)

#: What may be removed, on whose word: rows from before `until`, and no others; see `store.retained`.
retention = Table(
    "retention",
    metadata,
    _sequence(),
    #: decisions, transcripts or training.
    Column("kind", String(20), nullable=False),
    Column("until", _At, nullable=False),
    #: The audit event that says so, by its number; the actor is the same.
    Column("event", BigInteger, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", _At, nullable=False),
)

#: What stays of a decision that was removed: its number, and the hash that stands in the log.
tombstone = Table(
    "tombstone",
    metadata,
    Column("uid", _Uid, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("leaf_hash", String(64), nullable=False),
    #: The row of `retention` under which it went.
    Column("retention", BigInteger, nullable=False),
    **_NO_HIDDEN_KEY,
)

#: Tables that only ever grow, but for what retention removes.
APPEND_ONLY = (
    event, request, decision, attempt, sync_event, suggestion, follow_up, breach, assignment, pack, probe, worksheet,
    run, ledger_key, seal, checkpoint, baseline, imported, retention, tombstone,
)  # fmt: skip

#: What of an effect may never change: what it says, and the key it travels under. Nor where it goes, once that is said.
EFFECT_FIXED = (
    "seq", "uid", "run_key", "decision_uid", "number", "conversation_id", "session", "kind", "payload",
)  # fmt: skip
