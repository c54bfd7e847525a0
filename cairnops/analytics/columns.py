"""Which columns an export has once it is read, whatever it was written like: name, type, unit, meaning, aliases."""

from dataclasses import dataclass

from cairnops.analytics.dialects import CAIRNOPS


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a frame."""

    name: str
    #: The engine's type, as DuckDB writes it.
    type: str
    #: `ms`, `UTC`, or empty.
    unit: str = ""
    meaning: str
    #: The names it is looked for under, in order of precedence; a dot steps into an object.
    aliases: tuple[str, ...] = ()


COLUMNS: tuple[Column, ...] = (
    Column(name="source", type="INTEGER", meaning="Which of the files it comes from, from 0."),
    Column(name="line", type="BIGINT", meaning="Physical line it starts on, from 1: what an editor shows."),
    Column(name="part", type="INTEGER", meaning="Which record of its line it is, from 0."),
    Column(
        name="decision_id", type="VARCHAR", meaning="Which decision it is about, as text.",
        aliases=CAIRNOPS.decision_id,
    ),
    Column(
        name="outcome", type="VARCHAR",
        meaning="success, failure or unknown: told by a flag, else the status, else the HTTP status, else an error.",
        aliases=(*CAIRNOPS.flag, *CAIRNOPS.denial),
    ),
    Column(name="status", type="VARCHAR", meaning="The status as it was written.", aliases=CAIRNOPS.status),
    Column(name="scope", type="VARCHAR", meaning="The scope as it was written.", aliases=CAIRNOPS.scope),
    Column(
        name="error_code", type="VARCHAR",
        meaning="The error's code; HTTP_503 where a failure has only an HTTP status.",
        aliases=(*CAIRNOPS.error_code, *CAIRNOPS.http_status),
    ),
    Column(
        name="error_message", type="VARCHAR", meaning="The error's words.",
        aliases=(*CAIRNOPS.error_message, "message"),
    ),
    Column(
        name="duration_ms", type="DOUBLE", unit="ms", meaning="How long it took; null where missing or unreadable.",
        aliases=CAIRNOPS.duration,
    ),
    Column(
        name="retries", type="DOUBLE",
        meaning="Tries after the first; one less than the attempt where only that is told.",
        aliases=CAIRNOPS.retries,
    ),
    Column(name="attempt", type="DOUBLE", meaning="Ordinal of the try, from 1.", aliases=CAIRNOPS.attempt),
    Column(
        name="occurred_at", type="TIMESTAMP", unit="UTC",
        meaning="When, to the millisecond; times without a zone are UTC.",
        aliases=CAIRNOPS.timestamp,
    ),
    Column(
        name="duration_state", type="VARCHAR",
        meaning="Whether a duration was read, is missing, or is there and unreadable.",
    ),
    Column(
        name="time_state", type="VARCHAR",
        meaning="Whether a time was read, is missing or unreadable; zoneless if it was taken for UTC.",
    ),
)  # fmt: skip

#: The columns of the problems that come with a frame.
PROBLEM_COLUMNS: tuple[Column, ...] = (
    Column(name="source", type="INTEGER", meaning="Which of the files, from 0."),
    Column(name="line", type="BIGINT", meaning="Physical line, from 1."),
    Column(name="part", type="INTEGER", meaning="Which record or reject of its line, from 0."),
    Column(name="reason", type="VARCHAR", meaning="Why it is no record; a key of the reader's list of rejects."),
    Column(name="detail", type="VARCHAR", meaning="The reason in words, people and secrets cut."),
    Column(name="preview", type="VARCHAR", meaning="What stands there: at most 200 characters, masked likewise."),
)  # fmt: skip

NAMES = tuple(column.name for column in COLUMNS)


def declaration(columns: tuple[Column, ...] = COLUMNS) -> str:
    """The columns as the body of a CREATE TABLE."""
    return ", ".join(f'"{column.name}" {column.type}' for column in columns)
