"""The log in a Supabase project: what it lacks, whether it holds the same, and the exports it gives.

The project is asked how far it has come, each time. Of two logs of which one is a part of the other, the one
that counts as many rows up to a key has the same rows up to there; so a handful of counts find the first gap.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cairnops import codec
from cairnops.analytics.reconcile_log import Rows, read_row
from cairnops.connectors.supabase import Duplicate, Project
from cairnops.domain.decisions import uid_of
from cairnops.errors import RemoteError
from cairnops.store.mirror import MIRRORED, Mirrored, Outline, SqlMirrored
from cairnops.store.tables import SCHEMA_VERSION

#: Rows sent at once.
BATCH = 500
#: Keys named of what is missing, too many or different; all are counted.
_NAMED = 20
_VIEW = "decision_sync_events"
_EVENT = (
    "uid", "decisionId", "status", "durationMs", "errorCode", "attempt", "timestamp", "scope", "effect",
)  # fmt: skip
#: The characters of a uid that say when.
_MOMENT = 10
#: What nobody without rights may see a row of.
GUARDED = (*(m.name for m in MIRRORED), _VIEW, "event", "conversation", "suggestion", "meta")


@dataclass(kw_only=True, slots=True)
class Sent:
    """What became of one table: rows here, rows that were there already, rows sent now."""

    table: str
    here: int
    there: int = 0
    sent: int = 0


@dataclass(kw_only=True, slots=True)
class Compared:
    """One table on both sides. Of the last three, the first few keys are named and all are counted."""

    table: str
    here: int
    there: int
    newest_here: str = ""
    newest_there: str = ""
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def push(
    project: Project, ledger: SqlMirrored, told: Callable[[str, int, int], None] = lambda *_: None
) -> list[Sent]:
    """Send what the project lacks, in batches that are there whole or not; `told` hears table, done, all.

    Raises:
        RemoteError: when the project cannot be used, or holds another ledger; what was sent stays, and the next
            push goes on from there.
    """
    check_layout(project)
    since = _since(project, ledger)
    # Asked before we look at our own: what is newest there must be here by then.
    newest = {m.name: project.newest(m.name, (*m.key, *m.same)) for m in MIRRORED}
    ours = ledger.outlines(since)
    for mirrored in MIRRORED:
        _same_ledger(mirrored, newest[mirrored.name], ours[mirrored.name], since)
    return [_send(project, ledger, m, ours[m.name], newest[m.name], since, told) for m in MIRRORED]


def check_layout(project: Project) -> None:
    """Make sure that the project's tables are those of this ledger.

    Raises:
        RemoteError: when they are not, or cannot be read.
    """
    layout = project.layout()
    if layout != str(SCHEMA_VERSION):
        raise RemoteError(
            f"The project's tables have layout {layout}; this cairnops needs {SCHEMA_VERSION}.",
            hint="Apply the files in supabase/migrations to a project of today's layout, or upgrade cairnops.",
        )


def _since(project: Project, ledger: SqlMirrored) -> str:
    """The beginning of the uids that retention has left alone on both sides: what it removed is not brought back."""
    until = max(project.removed_until(), ledger.removed_until())
    return uid_of(codec.moment(until))[:_MOMENT] if until else ""


def _same_ledger(mirrored: Mirrored, row: dict[str, Any] | None, ours: Sequence[Outline], since: str) -> None:
    if row is None or (mirrored.born and row.get(mirrored.born, "") < since):
        return
    theirs = tuple(row[name] for name in (*mirrored.key, *mirrored.same))
    place = bisect_left(ours, theirs[: len(mirrored.key)], key=lambda o: o[: len(mirrored.key)])
    if place == len(ours) or ours[place] != theirs:
        raise RemoteError(
            f"The project holds a {mirrored.name} {_named(mirrored, theirs)} that this ledger does not have.",
            hint="It mirrors another ledger, or a later state of this one: cairnops supabase status tells more.",
        )


def _send(
    project: Project,
    ledger: SqlMirrored,
    mirrored: Mirrored,
    ours: Sequence[Outline],
    newest: dict[str, Any] | None,
    since: str,
    told: Callable[[str, int, int], None],
) -> Sent:
    first = mirrored.key[0]

    def count(through: Any) -> int:
        return project.count(mirrored.name, first, through=through, born=mirrored.born, since=since)

    out = Sent(table=mirrored.name, here=len(ours))
    start = agreed([o[0] for o in ours], count) if newest is not None else 0
    for at in range(start, len(ours), BATCH):
        part = ours[at : at + BATCH]
        missing: Sequence[Outline] = part
        if newest is not None and part[0][0] <= newest[first]:
            missing = _missing(project, mirrored, part)
        if missing:
            _add(project, ledger, mirrored, missing)
        out.sent += len(missing)
        told(mirrored.name, at + len(part), len(ours))
    out.there = out.here - out.sent
    if out.sent and (there := count(ours[-1][0])) < out.here:
        raise RemoteError(
            f"{mirrored.name}: {out.here} rows should be there, and {there} are.",
            hint="cairnops supabase status tells which are missing or different.",
        )
    return out


def agreed(keys: Sequence[Any], count: Callable[[Any], int]) -> int:
    """How many of these rows are surely there: the longest beginning of which both sides count the same.

    `keys` is in order; several rows may have one. `count` tells how many rows there are up to a key.
    """
    if not keys or count(keys[-1]) == len(keys):
        return len(keys)
    low, high = 0, bisect_left(keys, keys[-1])
    while low < high:
        key = keys[(low + high) // 2]
        end = bisect_right(keys, key)
        if count(key) == end:
            low = end
        else:
            high = bisect_left(keys, key)
    return low


def _missing(project: Project, mirrored: Mirrored, part: Sequence[Outline]) -> list[Outline]:
    rows = project.between(mirrored.name, mirrored.key, part[0][0], part[-1][0])
    there = {tuple(row[name] for name in mirrored.key) for row in rows}
    return [outline for outline in part if outline[: len(mirrored.key)] not in there]


def _add(project: Project, ledger: SqlMirrored, mirrored: Mirrored, missing: Sequence[Outline]) -> None:
    rows = ledger.rows(mirrored, missing)
    try:
        project.add(mirrored.name, rows, mirrored.unique)
    except Duplicate:
        # Somebody who pushes the same rows at the same time may be met at any of their keys.
        still = _missing(project, mirrored, missing)
        if len(still) == len(missing):
            raise
        if still:
            project.add(mirrored.name, ledger.rows(mirrored, still), mirrored.unique)


# Status


def compare(project: Project, ledger: SqlMirrored) -> tuple[list[Compared], str]:
    """Every table row by row, since retention removed what is old on either side; and until when it did there.

    Raises:
        RemoteError: when the project cannot be read.
    """
    check_layout(project)
    since = _since(project, ledger)
    theirs = {m.name: sorted(_outlines(project, m, since)) for m in MIRRORED}
    ours = ledger.outlines(since)
    return [_compared(m, ours[m.name], theirs[m.name]) for m in MIRRORED], project.removed_until()


def _outlines(project: Project, mirrored: Mirrored, since: str) -> Iterator[Outline]:
    columns = (*mirrored.key, *mirrored.same)
    tie = mirrored.key[1] if len(mirrored.key) > 1 else ""
    for row in project.pages(mirrored.name, columns, born=mirrored.born, since=since, tie=tie):
        yield tuple(row[name] for name in columns)


def _compared(mirrored: Mirrored, ours: list[Outline], theirs: list[Outline]) -> Compared:
    width = len(mirrored.key)
    here, there = ({o[:width]: o[width:] for o in side} for side in (ours, theirs))
    out = Compared(
        table=mirrored.name,
        here=len(ours),
        there=len(theirs),
        newest_here=_named(mirrored, ours[-1]) if ours else "",
        newest_there=_named(mirrored, theirs[-1]) if theirs else "",
    )
    found = {
        "missing": [key for key in here if key not in there],
        "extra": [key for key in there if key not in here],
        "differing": [key for key, same in here.items() if there.get(key, same) != same],
    }
    for what, keys in found.items():
        out.counts[what] = len(keys)
        setattr(out, what, [_named(mirrored, key) for key in keys[:_NAMED]])
    return out


def _named(mirrored: Mirrored, outline: Outline) -> str:
    return "/".join(map(str, outline[: len(mirrored.key)]))


# Exports


def decisions(project: Project, wrong: list[int]) -> Iterator[dict[str, Any]]:
    """Every decision, as an export has it; `wrong` is told the numbers of those that do not agree with their hash.

    Raises:
        RemoteError: when the project cannot be read, or a record there is none.
    """
    check_layout(project)
    places = {
        row["decision_uid"]: row["log_index"] for row in project.pages("seal", ("log_index", "decision_uid"))
    }
    for row in project.pages("decision", ("number", "uid", "body", "leaf_hash")):
        try:
            record = json.loads(row["body"])
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise RemoteError(
                f"Decision {row['number']} of the project is no record.",
                hint="cairnops supabase status compares the project with the ledger.",
            )
        if codec.leaf_hash(row["body"]) != row["leaf_hash"] or record.get("uid") != row["uid"]:
            wrong.append(row["number"])
        record["leafHash"] = row["leaf_hash"]
        if row["uid"] in places:
            record["logIndex"] = places[row["uid"]]
        yield record


def sync_events(project: Project) -> Iterator[dict[str, Any]]:
    """The final outcome of every effect, as an export has it.

    Raises:
        RemoteError: when the project cannot be read.
    """
    check_layout(project)
    for row in project.pages(_VIEW, _EVENT):
        # An exact number (12.40) may come as a text, so that its last nought is not lost.
        took = row["durationMs"]
        row["durationMs"] = None if took is None else float(took)
        yield {name: row[name] for name in (*_EVENT[1:], "uid")}


def as_source(project: Project, wrong: list[int]) -> Rows:
    """What the project says of decisions and deliveries, to hold a worksheet against; `wrong` as for `decisions`.

    Raises:
        RemoteError: when the project cannot be read.
    """
    records = [*decisions(project, wrong), *sync_events(project)]
    rows = [row for record in records if (row := read_row(record, "supabase")) is not None]
    return Rows.of(rows, name="supabase", kind="supabase", removed=project.removed())
