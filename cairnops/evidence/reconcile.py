"""Which logs a worksheet is held against, and what its links and a file called latest are worth."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from cairnops.analytics import reconcile as matching
from cairnops.analytics.reconcile_log import LogRow, Rows, Source, moment_ms, read_row
from cairnops.analytics.reconcile_result import TOLERANCE_MS, Finding, Reconciliation, stamp
from cairnops.errors import InputError
from cairnops.evidence import claims
from cairnops.telemetry import cells
from cairnops.telemetry.preview import mask
from cairnops.telemetry.reader import read_lines
from cairnops.telemetry.sheets import Sheet, read_sheet
from cairnops.telemetry.source import files_of
from cairnops.workspace import Workspace

#: From here on a database engine reads an export of lines; below it plain Python is quicker.
LARGE = 32 * 1024 * 1024
_ENDINGS = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
_SIBLING_LIMIT, _SIBLINGS = 16 * 1024 * 1024, 50


def reconcile(
    *worksheets: str | Path | BinaryIO,
    against: Sequence[str | Path] = (),
    more: Sequence[Source] = (),
    workspace: Workspace | None = None,
    session: str = "",
    scope: str = "ops",
    tolerance_s: float = TOLERANCE_MS / 1000,
    large: int = LARGE,
    roots: Sequence[Path] | None = None,
) -> Reconciliation:
    """Hold worksheets (paths, or open binary streams of ids) against a workspace and any number of exports.

    `against` takes NDJSON exports, folders of them, and Parquet files, folders or patterns; `more`, logs that
    are read already. Links to evidence are
    looked up below `roots`; unless given, beside their worksheet and below the current folder.

    Raises:
        InputError: for a worksheet or an export that cannot be read, or no log to compare with.
        NotFound: when the workspace has no such session.
    """
    sheets = [read_sheet(source) for source in worksheets]
    if workspace is None and not against and not more:
        raise InputError(
            "There is nothing to compare the worksheet with.", hint="Name an export or a workspace."
        )
    with ExitStack() as stack:
        sources: list[Source] = []
        if workspace is not None:
            if session:
                workspace.sessions.get(session)
            sources.append(of_workspace(workspace))
        sources += more
        paths = list(_paths(against))
        for path in paths:
            sources.append(_named(open_source(path, stack, large=large), sources))
        result = matching.compare(
            sheets, sources, session=session, scope=scope, tolerance_ms=round(tolerance_s * 1000)
        )
        result = result.with_findings(_latest(paths, sources))
    proofs = [
        f for given, sheet in zip(worksheets, sheets, strict=True) for f in _evidence(given, sheet, roots)
    ]
    return result.with_findings(proofs)


def of_workspace(workspace: Workspace) -> Rows:
    """Every decision of a workspace, with how its deliveries ended; what is not sent yet is `PENDING`."""
    rows: list[LogRow] = []
    for record in workspace.ledger.decisions():
        row = read_row(record, "workspace")
        if row is not None:
            rows.append(row)
    for effect in workspace.ledger.deliveries():
        final = effect["final"]
        if not effect["number"]:
            continue
        rows.append(
            LogRow(
                source="workspace",
                uid=effect["uid"],
                number=str(effect["number"]),
                at=moment_ms(final["at"]) if final else None,
                scope="ops",
                session=effect["session"],
                event=True,
                status=final["status"] if final else "PENDING",
                effect=effect["kind"],
                attempt=final["attempt"] if final else 0,
            )
        )
    removed = ((stone.number, stone.uid, stone.at) for stone in workspace.retention.tombstones())
    return Rows.of(rows, name="workspace", kind="workspace", removed=removed)


def open_source(path: str, stack: ExitStack, *, large: int = LARGE) -> Source:
    """An export as a source; whatever has to be closed again is left with `stack`.

    Raises:
        InputError: for a file that cannot be read, or that holds an error instead of rows.
    """
    name = Path(path).name
    if _is_parquet(path):
        from cairnops.analytics.reconcile_sql import open_parquet

        return stack.enter_context(open_parquet(path, name))
    file = Path(path)
    if file.is_file() and file.stat().st_size >= large:
        from cairnops.analytics.reconcile_scan import open_lines

        log = open_lines(file)
        if log is not None:
            return stack.enter_context(log)
    return read_export(file)


def read_export(path: Path) -> Rows:
    """A small export, read line by line.

    Raises:
        InputError: as `telemetry.reader.read_lines`, or for a file that is no export.
    """
    rows: list[LogRow] = []
    other = 0
    reading = read_lines(path)
    for line in reading:
        if line.record is None:
            continue
        row = read_row(line.record, path.name, line.number)
        if row is None:
            other += 1
        else:
            rows.append(row)
    export = reading.export
    if not export.is_data:
        raise InputError(
            f"{path.name}: {mask(export.diagnosis)}",
            hint=f"cairnops summary {path.name} shows what the file holds.",
        )
    return Rows.of(
        rows, name=path.name, kind=export.kind, rejects=export.rejects, other=other, sha256=export.sha256
    )


def _named(source: Source, others: Sequence[Source]) -> Source:
    taken = {other.account.name for other in others}
    if source.account.name not in taken:
        return source
    raise InputError(
        f"Two logs are called {source.account.name}.",
        hint="Give one of them another name, so that findings can tell.",
    )


def _is_parquet(path: str) -> bool:
    if any(c in path for c in "*?["):
        return True
    given = Path(path)
    if given.is_dir():
        return not any(p.name.endswith(_ENDINGS) for p in given.iterdir()) and any(given.rglob("*.parquet"))
    return path.lower().endswith(".parquet")


def _paths(against: Sequence[str | Path]) -> Iterator[str]:
    for given in map(str, against):
        path = Path(given)
        if not path.is_dir():
            found = files_of(given)
            # A pattern of Parquet files is one log.
            parquet = all(map(_is_parquet, map(str, found)))
            yield from [given] if parquet else map(str, found)
            continue
        if _is_parquet(given):
            yield given
            continue
        inside = sorted(p for p in path.iterdir() if p.name.endswith(_ENDINGS) and p.is_file())
        if not inside:
            raise InputError(f"{path} holds no exports.", hint="They end in .ndjson, .jsonl or .parquet.")
        yield from map(str, inside)


# --- a file called latest -----------------------------------------------------------------------------------------


def _latest(paths: Sequence[str], sources: Sequence[Source]) -> Iterator[Finding]:
    """Files called latest that are older or emptier than one beside them, or than another that was given."""
    rows = {s.account.name: s for s in sources}
    for given in paths:
        path = Path(given)
        if "latest" not in path.stem.lower() or _is_parquet(given):
            continue
        mine = _newest(rows[path.name])
        for name, other in sorted(_beside(path, paths, rows)):
            if mine[0] and other[1] != mine[1]:
                # Decisions and outcomes of deliveries are two exports of one day.
                continue
            fuller = other[0] > mine[0] and (not mine[0] or other[2] == mine[2])
            newer = other[2] is not None and (mine[2] is None or other[2] > mine[2])
            if newer or fuller:
                until = f", newest {stamp(other[2])}" if other[2] is not None else ""
                own = f", newest {stamp(mine[2])}" if mine[2] is not None else ""
                yield Finding(
                    code="stale_latest",
                    worksheet=f"{path.name}: {mine[0]:,} rows{own}",
                    log=f"{name}: {other[0]:,} rows{until}",
                    source=path.name,
                )
                break


_Size = tuple[int, bool, int | None]


def _newest(source: Source) -> _Size:
    """Rows, whether they are decisions, and the newest moment; empty files are of either kind."""
    return source.account.rows, source.account.decisions, source.newest()


def _beside(path: Path, paths: Sequence[str], given: dict[str, Source]) -> Iterator[tuple[str, _Size]]:
    for other in paths:
        if other != str(path):
            yield Path(other).name, _newest(given[Path(other).name])
    stem = re.split(r"[-_.]?latest", path.name.lower())[0]
    siblings = sorted(
        p
        for p in path.parent.iterdir()
        if p.name.endswith(_ENDINGS) and p.name.lower().startswith(stem) and p.name != path.name
        and str(p) not in paths and p.stat().st_size <= _SIBLING_LIMIT
    )  # fmt: skip
    for sibling in siblings[-_SIBLINGS:]:
        try:
            yield sibling.name, _newest(read_export(sibling))
        except InputError:
            continue


# --- evidence -----------------------------------------------------------------------------------------------------


def _evidence(given: str | Path | BinaryIO, sheet: Sheet, roots: Sequence[Path] | None) -> Iterator[Finding]:
    """The links of a worksheet that do not hold."""
    if roots is None:
        roots = [*([Path(given).parent] if isinstance(given, str | Path) else []), Path.cwd()]
    ids_of: dict[int, list[str]] = {}
    for row in sheet.rows:
        ids_of.setdefault(row.line, []).extend(i for i in (row.number, row.uid) if i)
    named = [(row.line, tuple(ids_of[row.line]), proof) for row in sheet.rows for proof in row.proofs]
    named += [(line, (), proof) for line, proof in sheet.proofs]
    for line, ids, proof in named:
        yield from _one(sheet, line, ids, proof, roots)


def _one(
    sheet: Sheet, line: int, ids: tuple[str, ...], proof: cells.Proof, roots: Sequence[Path]
) -> Iterator[Finding]:
    checked = claims.check(claims.Claim(path=proof.path, ids=ids, sha256=proof.sha256), roots)
    if checked.verdict != "ok":
        yield Finding(
            code="evidence_missing" if checked.verdict == "missing" else "evidence_mismatch",
            sheet=sheet.name,
            line=line,
            decision=ids[0] if ids else "",
            worksheet=proof.path,
            log=checked.said,
        )
