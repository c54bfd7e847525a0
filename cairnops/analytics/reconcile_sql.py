"""How a log of many millions of rows is asked: the questions as SQL over Parquet, or over lines a scan has taken in.

What a row says is `reconcile_log.read_row`'s to decide; the expressions here say the same, and a property test
compares the two.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from cairnops.analytics import reconcile_log as logs
from cairnops.analytics.reconcile_log import Account, LogRow, Part, Unlisted
from cairnops.errors import InputError

#: The relation behind a source: the facts of `LogRow` in their order, and their types.
COLUMNS = {
    "line": "BIGINT", "uid": "VARCHAR", "number": "VARCHAR", "conversation": "VARCHAR", "action": "VARCHAR",
    "actor": "VARCHAR", "at_ms": "BIGINT", "scope": "VARCHAR", "session": "VARCHAR", "event": "BOOLEAN",
    "status": "VARCHAR", "effect": "VARCHAR", "attempt": "INTEGER",
}  # fmt: skip
_INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT",
}  # fmt: skip
_ULID = "(?i)[0-7][0-9A-HJKMNP-TV-Z]{25}"
_UUID = "(?i)[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"


class Log:
    """A source that answers from a relation `log`; a context manager. See `reconcile_log.Source` for the questions."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        view: "View | None" = None,
        held: ExitStack | None = None,
    ):
        self._con, self._name, self._view = connection, name, view
        self._held = held
        #: Numbers are compared as whole numbers in their file's own column, before anything else is worked out.
        self._early = bool(view and view.key)
        #: What the tables to join with hold.
        self._tables: dict[str, AbstractSet[str]] = {}
        #: The numbers asked for so far, and all their rows.
        self._asked: set[str] = set()
        self._known: list[LogRow] = []
        self.account = Account(name=name, kind="", rows=0, decisions=False)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the engine and of what it keeps on disk."""
        self._con.close()
        if self._held:
            self._held.close()

    def newest(self) -> int | None:
        """See `Source.newest`."""
        return self._one("SELECT max(at_ms) FROM log")[0]

    def find(self, numbers: AbstractSet[str], uids: AbstractSet[str]) -> list[LogRow]:
        """See `Source.find`."""
        if new := numbers - self._asked:
            self._known += self._rows(*self._numbered(new, "IN"))
            self._asked |= new
        found = [row for row in self._known if row.number in numbers]
        if uids:
            self._wanted("wanted_uid", uids, text=True)
            more = self._rows("log", "NOT event AND uid IN (SELECT k FROM wanted_uid)")
            found += [row for row in more if row.number not in numbers]
        return found

    def about(self, conversations: AbstractSet[str], spans: Sequence[tuple[int, int]]) -> list[LogRow]:
        """See `Source.about`."""
        tests = []
        if conversations:
            self._wanted("wanted_about", conversations, text=True)
            tests.append("conversation IN (SELECT k FROM wanted_about)")
        merged = _merged(spans)
        # A few spans are read at once; many would be a test each for every row.
        if merged and len(merged) <= 50:
            tests.append("(" + " OR ".join(f"at_ms BETWEEN {a} AND {b}" for a, b in merged) + ")")
        elif merged:
            tests.append(f"at_ms BETWEEN {merged[0][0]} AND {merged[-1][1]}")
        found = self._rows("log", f"NOT event AND ({' OR '.join(tests)})") if tests else []
        kept = [
            r
            for r in found
            if r.conversation in conversations
            or (r.at is not None and any(a <= r.at <= b for a, b in merged))
        ]
        return sorted(kept, key=lambda r: r.order)

    def unlisted(
        self, part: Part, numbers: AbstractSet[str], uids: AbstractSet[str], *, events: bool, limit: int
    ) -> Unlisted:
        """See `Source.unlisted`."""
        whole = ["event" if events else "NOT event", f"scope IN ('', {literal(part.scope)})"]
        if part.sessions:
            whole.append("session IN (" + ", ".join(map(literal, sorted(part.sessions))) + ")")
        span = self._span(part)
        # What is listed is at hand: taking it off a plain count is quicker than leaving it out row by row.
        found = self.find(numbers, set() if events else uids)
        listed = sum(row.event == events and part.holds(row) for row in found)
        count = self._counted(whole, part, span) - listed
        if count <= 0:
            return Unlisted()
        tests = [*whole, *([span] if span else [])]
        moment = self._view.moment if self._view else "at_ms"
        if count > limit and moment:
            # Asked for nothing but the first times, the engine passes over whole stretches.
            (at,) = self._one(
                f"SELECT at_ms FROM log WHERE {' AND '.join(tests)}"
                f" ORDER BY {'moment' if self._view else 'at_ms'} NULLS LAST LIMIT 1 OFFSET {limit + listed - 1}"
            )
            if at is not None:
                tests.append(f"moment < {self._view.instant(at + 1)}" if self._view else f"at_ms <= {at}")
        log = "log"
        if numbers:
            log, test = self._numbered(numbers, "NOT IN")
            tests.append(test)
        if uids and not events:
            self._wanted("wanted_uid", uids, text=True)
            tests.append("uid NOT IN (SELECT k FROM wanted_uid)")
        where = " AND ".join(tests)
        if count > limit:
            # Sorting millions of whole rows to keep a few is slow; their times and numbers say where to cut.
            by = "key" if self._early else "length(number), number"
            cut = (
                f"SELECT at_ms, number FROM {log} WHERE {where} ORDER BY at_ms NULLS LAST, {by} LIMIT {limit}"
            )
            where += f" AND {_up_to(*self._all(cut)[-1])}"
        rows = sorted(self._rows(log, where), key=lambda r: r.order)
        return Unlisted(count=count, rows=tuple(rows[:limit]))

    def _counted(self, whole: Sequence[str], part: Part, span: str) -> int:
        """How many rows pass; a stretch of time that is most of the log is counted by what lies outside it."""
        sql = f"SELECT count(*) FROM log WHERE {' AND '.join(whole)}"
        if not span:
            return int(self._one(sql)[0])
        if self._view and self._view.moment and part.start is not None and part.end is not None:
            first, last = self._one("SELECT epoch_ms(min(moment)), epoch_ms(max(moment)) FROM log")
            if first is not None and min(last, part.end) - max(first, part.start) > (last - first) / 2:
                first, behind = self._view.instant(part.start), self._view.instant(part.end + 1)
                outside = f"(moment < {first} OR moment >= {behind} OR moment IS NULL)"
                return int(self._one(sql)[0]) - int(self._one(f"{sql} AND {outside}")[0])
        return int(self._one(f"{sql} AND {span}")[0])

    def _numbered(self, numbers: AbstractSet[str], how: str) -> tuple[str, str]:
        """Where to read rows with (`IN`) or without (`NOT IN`) those numbers, and the test they must pass there."""
        self._wanted("wanted_number", numbers)
        if self._early and self._view:
            return f"({self._view.select(f'{self._view.key} {how} (SELECT k FROM wanted_number)')})", "true"
        return "log", f"number {how} (SELECT k FROM wanted_number)"

    def _span(self, part: Part) -> str:
        """The stretch of time of `Part.holds`; empty when there is none."""
        if part.sessions or part.start is None or part.end is None:
            return ""
        if not (self._view and self._view.moment):
            return f"at_ms BETWEEN {part.start} AND {part.end}"
        # The file's own column: whole stretches of it need not be read.
        first, behind = self._view.instant(part.start), self._view.instant(part.end + 1)
        return f"moment >= {first} AND moment < {behind}"

    def _rows(self, log: str, where: str) -> list[LogRow]:
        listed = f"{literal(self._name)}, {', '.join(COLUMNS)}"
        return list(map(LogRow._make, self._all(f"SELECT {listed} FROM {log} WHERE {where}")))

    def _wanted(self, table: str, keys: AbstractSet[str], *, text: bool = False) -> None:
        """Put keys into a table to join with; what is no whole number cannot be in a column of them."""
        if self._tables.get(table) == keys:
            return
        integers = self._early and not text
        values: list[Any] = list(keys)
        if integers:
            values = [
                int(k) for k in values if k.isascii() and k.isdigit() and len(k) < 19 and k == str(int(k))
            ]
        kind = "BIGINT" if integers else "VARCHAR"
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT unnest(?::{kind}[]) AS k", [values]
        )
        self._tables[table] = frozenset(keys)

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        return self._con.execute(sql).fetchall()

    def _one(self, sql: str) -> tuple[Any, ...]:
        # A result that was not read to its end keeps the connection busy.
        (found,) = self._all(sql)
        return found

    def count(self, kind: str, *, total: int | None = None, **more: Any) -> None:
        """Make the account: what is in the relation, and how many rows there were in all."""
        # Asked for nothing but a number, an engine looks it up.
        (rows,) = self._one("SELECT count(*) FROM log")
        decisions = bool(self._all("SELECT 1 FROM log WHERE NOT event LIMIT 1"))
        other = 0 if total is None else total - rows
        self.account = Account(
            name=self._name, kind=kind, rows=rows, decisions=decisions, other=more.pop("other", other), **more
        )


def connect(*, ordered: bool = False) -> duckdb.DuckDBPyConnection:
    """An engine in memory that asks no network; `ordered` when rows must keep the order of their lines."""
    con = duckdb.connect(":memory:")
    for setting in (
        "SET timezone = 'UTC'",
        "SET autoinstall_known_extensions = false",
        f"SET preserve_insertion_order = {ordered}",
        # An IN list of some length becomes a hash join, and that puts rows out of order.
        f"SET disabled_optimizers = '{'in_clause' if ordered else ''}'",
    ):
        con.execute(setting)
    # In a notebook without ipywidgets it is off, and even switching it off is refused.
    if con.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        con.execute("SET enable_progress_bar = false")
    return con


def open_parquet(pattern: str, name: str) -> Log:
    """A Parquet file, a folder of them, or a pattern.

    Raises:
        InputError: for what is no Parquet, or names no decisions.
    """
    con = connect()
    path = Path(pattern)
    given = str(path / "**" / "*.parquet") if path.is_dir() else pattern
    read = f"read_parquet({literal(given)}, union_by_name = true)"
    try:
        view = View(
            read, {row[0]: str(row[1]) for row in con.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
        )
        if not view.identifies:
            there = ", ".join(view.columns) or "none"
            raise InputError(
                f"{name} has no column that identifies a decision (columns: {there[:200]}).",
                hint="Wanted: decisionId, uid, or createdAt with conversation or action.",
            )
        view.learn(con.execute(STATISTICS.format(literal(given))).fetchall())
        con.execute(f"CREATE TEMP VIEW log AS {view.select()}")
        log = Log(con, name, view)
        log.count("parquet", total=con.execute(f"SELECT count(*) FROM {read}").fetchall()[0][0])
        return log
    except duckdb.Error as error:
        con.close()
        said = str(error).split("\n", 1)[0]
        raise InputError(
            f"{name} cannot be read as Parquet: {said}", hint="Check the file or the pattern."
        ) from None
    except BaseException:
        con.close()
        raise


#: Column, stretches without statistics and files without it, nulls, least and greatest value, as files say themselves.
STATISTICS = (
    "WITH m AS (SELECT * FROM parquet_metadata({})) SELECT path_in_schema,"
    " count(*) FILTER (stats_null_count IS NULL OR stats_min_value IS NULL)"
    " + (SELECT count(DISTINCT file_name) FROM m) - count(DISTINCT file_name),"
    " sum(stats_null_count), min(stats_min_value), max(stats_max_value) FROM m GROUP BY 1"
)


class View:
    """The facts of `LogRow` as expressions over whatever columns a file has."""

    def __init__(self, read: str, columns: dict[str, str]):
        self._read, self.columns = read, columns
        #: Columns in which no value is null and no text is blank.
        self._full: set[str] = set()
        #: Columns in which every row says the same.
        self._constant: dict[str, str] = {}
        whole = [n for n in logs.NUMBERS if n in columns]
        #: The file's own column of whole numbers, if that is all the number can be; else empty.
        self.key = ""
        if (
            len(whole) == 1
            and logs.EITHER not in columns
            and columns[whole[0]] in _INTEGERS - {"HUGEINT", "UBIGINT"}
        ):
            self.key = quoted(whole[0])
        times = [n for n in logs.TIMES if n in columns]
        #: The same of times; `zoned` when it knows its zone.
        self.moment, self.zoned = "", False
        if len(times) == 1 and columns[times[0]] in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
            self.moment, self.zoned = quoted(times[0]), columns[times[0]] != "TIMESTAMP"

    @property
    def identifies(self) -> bool:
        """There is something to tell decisions by."""
        names = (*logs.NUMBERS, *logs.UIDS, logs.EITHER)
        times = any(n in self.columns for n in logs.TIMES)
        told = any(n in self.columns for n in (*logs.CONVERSATIONS, *logs.ACTIONS, logs.WHAT))
        return any(n in self.columns for n in names) or (times and told)

    def learn(self, statistics: Sequence[tuple[Any, ...]]) -> None:
        """Take what the file says about its columns, so that the engine need not look at every row for it."""
        counted = False
        for name, unknown, nulls, least, greatest in statistics:
            kind = self.columns.get(name)
            if kind is None or unknown or nulls:
                continue
            # A text that begins with a blank, or is none, comes before `!`.
            if kind in _INTEGERS or (kind == "VARCHAR" and least >= "!"):
                self._full.add(name)
            if (
                kind == "VARCHAR"
                and "!" <= least == greatest
                and len(least) < 32
                and least.strip(" ") == least
            ):
                self._constant[name] = least
            if self.key == quoted(name) and kind in _INTEGERS:
                counted = int(least) >= 0
        if not counted:
            # A row without a number is in no list, and the quick comparison would lose it.
            self.key = ""

    def instant(self, ms: int) -> str:
        """A moment to compare the file's own column of times with."""
        at = f"make_timestamp_ms({ms})"
        return f"({at} AT TIME ZONE 'UTC')" if self.zoned else at

    def select(self, where: str = "", *, table: str = "") -> str:
        """The statement behind `log`, over all rows or those that pass a test of the file's own columns.

        `table` stands for the file and has the lines' numbers as `line_`.
        """
        read = table or self._read
        read = f"(SELECT * FROM {read} WHERE {where})" if where else read
        number = self._texts(logs.NUMBERS)
        uid = self._texts(logs.UIDS)
        either = self._texts((logs.EITHER,))
        if either:
            shaped = _is_uid("e")
            number = f"coalesce({number or 'NULL'}, CASE WHEN NOT ({shaped}) THEN e END)"
            uid = f"coalesce({uid or 'NULL'}, CASE WHEN {shaped} THEN e END)"
        action, conversation = self._texts(logs.ACTIONS), self._texts(logs.CONVERSATIONS)
        if what := self._texts((logs.WHAT,)):
            pair = r"^(\S+) (\w+:\S+)$"
            alone = f"coalesce(nullif(regexp_extract({what}, '{pair}', 1), ''), {what})"
            about = f"nullif(regexp_extract({what}, '{pair}', 2), '')"
            conversation = (
                f"coalesce({conversation or 'NULL'}, CASE WHEN {action or 'NULL'} IS NULL THEN {about} END)"
            )
            action = f"coalesce({action or 'NULL'}, {alone})"
        inner = {
            "e": either,
            "number_": number,
            "uid_": uid,
            "conversation_": conversation,
            "action_": action,
            "actor_": self._texts((*logs.ACTORS, "actor.email")),
            "at_": self._time(),
            "scope_": self._texts(logs.SCOPES),
            "session_": self._texts(logs.SESSIONS),
            "status_": self._texts(logs.STATUSES),
            "effect_": self._texts(logs.EFFECTS),
            "attempt_": self._texts(logs.ATTEMPTS),
        }
        # What no column says is said once and for all, so that the engine need not think about it in every row.
        there = {name for name, x in inner.items() if x}
        event = self._event(there)
        small = "coalesce(CASE WHEN regexp_full_match(attempt_, '[0-9]{1,9}') THEN attempt_::INTEGER END, 0)"
        facts = {
            "line": "line_" if table else "0::BIGINT",
            "uid": f"coalesce({_cased('uid_')}, '')" if "uid_" in there else "''",
            "number": f"coalesce({'number_' if self.key else _whole('number_')}, '')"
            if "number_" in there
            else "''",
            "conversation": f"coalesce({_about('conversation_')}, '')" if "conversation_" in there else "''",
            "action": "coalesce(action_, '')" if "action_" in there else "''",
            "actor": "coalesce(lower(actor_), '')" if "actor_" in there else "''",
            "at_ms": "at_" if "at_" in there else "NULL::BIGINT",
            "scope": "coalesce(lower(scope_), '')" if "scope_" in there else "''",
            "session": "coalesce(session_, '')" if "session_" in there else "''",
            "event": event,
            "status": "coalesce(upper(status_), '')" if "status_" in there else "''",
            "effect": "coalesce(effect_, '')" if "effect_" in there else "''",
            "attempt": small if "attempt_" in there else "0",
            **({"moment": "moment_"} if self.moment else {}),
            **({"key": "key_"} if self.key else {}),
        }
        listed = ", ".join(f"{x} AS {name}" for name, x in inner.items() if x) + (", line_" if table else "")
        if self.moment:
            listed += f", {self.moment} AS moment_"
        if self.key:
            listed += f", {self.key} AS key_"
        tests = [self._valid(there, event)]
        if "messages" in self.columns:
            listed += f", {quoted('messages')} IS NULL AS silent"
            tests.append("silent")
        selected = ", ".join(f"{x} AS {name}" for name, x in facts.items())
        return f"SELECT {selected} FROM (SELECT {listed} FROM {read}) WHERE {' AND '.join(tests)}"

    def _event(self, there: AbstractSet[str]) -> str:
        if "status_" not in there:
            return "false"
        others = [f"{name} IS NULL" for name in ("action_", "actor_") if name in there]
        if not others and self._full & set(logs.STATUSES):
            return "true"
        return f"({' AND '.join(['status_ IS NOT NULL', *others])})"

    def _valid(self, there: AbstractSet[str], event: str) -> str:
        """The row is about a decision at all; see the end of `read_row`."""
        told = [f"{name} IS NOT NULL" for name in ("conversation_", "action_") if name in there]
        known = [f"{name} IS NOT NULL" for name in ("number_", "uid_") if name in there]
        if told and "at_" in there:
            known.append(f"(at_ IS NOT NULL AND ({' OR '.join(told)}))")
        if known == ["number_ IS NOT NULL"]:
            return "true" if self._full & set(logs.NUMBERS) else known[0]
        numbered = "number_ IS NOT NULL" if "number_" in there else "false"
        either = " OR ".join(known)
        return f"({either})" if event == "false" else f"CASE WHEN {event} THEN {numbered} ELSE {either} END"

    def _texts(self, names: Sequence[str]) -> str:
        """The first of those columns that holds a text or a number; empty when there is none of them."""
        there = [x for n in names if (x := self._text(n))]
        return f"coalesce({', '.join(there)})" if len(there) > 1 else "".join(there)

    def _text(self, name: str) -> str:
        column, kind = self._field(name)
        if not column:
            return ""
        if name in self._constant:
            return literal(self._constant[name])
        if kind == "VARCHAR" or kind.startswith("ENUM"):
            return f"nullif(trim({column}::VARCHAR, ' '), '')"
        if kind in _INTEGERS or kind == "UUID":
            return f"{column}::VARCHAR"
        if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
            number = f"{column}::DOUBLE"
            whole = f"isfinite({number}) AND {number} = trunc({number}) AND abs({number}) < 9007199254740992"
            return f"CASE WHEN {whole} THEN trunc({number})::BIGINT::VARCHAR END"
        return ""

    def _field(self, name: str) -> tuple[str, str]:
        head, _, rest = name.partition(".")
        kind = self.columns.get(head, "")
        if not rest or not kind.startswith("STRUCT("):
            return (quoted(name), kind) if name in self.columns else ("", "")
        for part in _struct_fields(kind):
            if part[0] == rest:
                return f"struct_extract({quoted(head)}, {literal(rest)})", part[1]
        return "", ""

    def _time(self) -> str:
        there = []
        for name in logs.TIMES:
            column, kind = self._field(name)
            if kind.startswith("TIMESTAMP") or kind == "DATE":
                there.append(f"epoch_us({column}::TIMESTAMPTZ) // 1000")
            elif kind == "VARCHAR":
                there.append(_moment(f"trim({column}, ' ')"))
            elif kind in _INTEGERS or kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
                x = f"{column}::DOUBLE"
                ms = f"trunc(CASE WHEN {x} > 10000000000 THEN {x} ELSE {x} * 1000 END)"
                there.append(
                    f"CASE WHEN isfinite({x}) AND {ms} BETWEEN 0 AND 253402300799999 THEN {ms}::BIGINT END"
                )
        return f"coalesce({', '.join(there)})" if len(there) > 1 else "".join(there)


def _moment(x: str) -> str:
    return (
        f"CASE WHEN regexp_full_match({x}, {literal(logs.ISO)})"
        f" THEN epoch_us(try_cast({x} AS TIMESTAMPTZ)) // 1000 END"
    )


def _whole(x: str) -> str:
    """See `cells.whole_number`."""
    bare = f"CASE WHEN ltrim({x}, '0') = '' THEN '0' ELSE ltrim({x}, '0') END"
    return f"CASE WHEN starts_with({x}, '0') AND regexp_full_match({x}, '[0-9]+') THEN {bare} ELSE {x} END"


def _about(x: str) -> str:
    """See `reconcile_log.about_conversation`."""
    return f"CASE WHEN regexp_full_match({x}, '[0-9]+') THEN 'chatwoot:' || {_whole(x)} ELSE {x} END"


def _is_uid(x: str) -> str:
    ulid = f"(regexp_full_match({x}, '{_ULID}') AND NOT regexp_full_match({x}, '[0-9]+'))"
    return f"({ulid} OR regexp_full_match({x}, '{_UUID}'))"


def _cased(x: str) -> str:
    return (
        f"CASE WHEN regexp_full_match({x}, '{_UUID}') THEN lower({x})"
        f" WHEN regexp_full_match({x}, '{_ULID}') AND NOT regexp_full_match({x}, '[0-9]+') THEN upper({x}) ELSE {x} END"
    )


def _up_to(at: int | None, number: str) -> str:
    """Whether a row comes no later than that time and number, rows without a time last."""
    size = len(number)
    tail = f"(length(number) < {size} OR (length(number) = {size} AND number <= {literal(number)}))"
    if at is None:
        return f"(at_ms IS NOT NULL OR {tail})"
    return f"(at_ms < {at} OR (at_ms = {at} AND {tail}))"


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(end, out[-1][1])
        else:
            out.append((start, end))
    return out


def _struct_fields(kind: str) -> list[tuple[str, str]]:
    """`STRUCT(email VARCHAR, "role" VARCHAR)` as pairs; only plain fields are of interest."""
    inside = kind[len("STRUCT(") : -1]
    return [
        (m[1].strip('"'), m[2]) for m in re.finditer(r'("[^"]+"|\w+) ([A-Z_]+(?: WITH TIME ZONE)?)', inside)
    ]


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'
