"""`doctor`: everything a team depends on, each line ready, blocked, or not checked, with what to do."""

import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cairnops.cli import exits, render
from cairnops.cli.common import JsonOption, WorkspaceOption
from cairnops.connectors.checks import Line
from cairnops.connectors.checks import blocked as _blocked
from cairnops.connectors.checks import unseen as _unseen

if TYPE_CHECKING:
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

#: Below this nothing is safe: a log that cannot grow refuses every decision.
_ROOM_MB = 200
#: Clocks further apart make waiting times wrong by as much.
_SKEW_S = 30

_SIGNS = {"ready": "ok", "blocked": "bad", "not checked": "none"}


def doctor(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check what this workspace depends on: database, log, help desk, workers, queue, clocks, key, disk.

    Every line is ready, blocked, or not checked, with what to do. Exit code 1 when one is blocked.

    Example: cairnops doctor
    """
    from cairnops.settings import Settings

    settings = Settings()
    found = list(_lines(workspace or Path(settings["CAIRNOPS_HOME"]), settings))

    def tell() -> None:
        render.table(
            ("", "State", "Found", "What to do"),
            [(line.what, (_SIGNS[line.state], line.state), line.detail, line.fix) for line in found],
            wrap=("Found", "What to do"),
        )

    render.emit([asdict(line) for line in found], as_json, tell)
    exits.findings([line for line in found if line.state == "blocked"])


def _lines(root: Path, settings: "Settings") -> Iterator[Line]:
    from cairnops.cli import doctor_supabase
    from cairnops.errors import CairnError
    from cairnops.workspace import Workspace

    yield _versions()
    yield _disk(root)
    inside = ("database clock", "decision log", "policy", "ledger key", "workers", "queue")
    if not (settings["DATABASE_URL"] or (root / "cairnops.db").exists()):
        yield Line(
            what="database", state="blocked", detail=f"There is no workspace at {root}.", fix="cairnops init"
        )
        yield from (_unseen(what, "there is no database") for what in inside)
    else:
        try:
            with Workspace.open(root, settings) as w:
                yield from _inside(w)
        except CairnError as error:
            yield _blocked("database", error)
            yield from (_unseen(what, "the database cannot be used") for what in inside)
    yield from _help_desk(settings, root)
    yield from doctor_supabase.lines(settings)


def _inside(w: "Workspace") -> Iterator[Line]:
    from cairnops.cli.worker import standing
    from cairnops.errors import CairnError
    from cairnops.store import upkeep

    found = upkeep.status(w.ledger.engine)
    kind = f"{found['kind']} {found['version']}, layout {found['layout']}"
    if found["movedTo"]:
        detail = f"{found['place']} was moved to {found['movedTo']}"
        yield Line(what="database", state="blocked", detail=detail, fix="Set DATABASE_URL to where it is.")
    else:
        yield Line(what="database", state="ready", detail=f"{found['place']} ({kind})")
    yield _database_clock(w)
    try:
        w.ledger.writable()
        yield Line(what="decision log", state="ready", detail="a decision could be written now")
    except CairnError as error:
        yield _blocked("decision log", error)
    try:
        yield Line(
            what="policy",
            state="ready",
            detail=f"{w.policy.profile}, {len(w.in_force.set_by)} values of its own",
        )
    except CairnError as error:
        yield _blocked("policy", error)
    yield _key(w)
    now = standing(w)
    alive, queue = [one for one in now["workers"] if one["alive"]], now["queue"]
    stale = len(now["workers"]) - len(alive)
    said = (
        f"{len(alive)} alive, {stale} silent"
        if now["workers"]
        else "none is listed; the desk delivers while open"
    )
    if len(versions := {one["version"] for one in alive}) > 1:
        said += f"; versions {', '.join(sorted(versions))}"
    if alive:
        yield Line(what="workers", state="ready", detail=said)
    elif queue["waiting"]:
        yield Line(what="workers", state="blocked", detail=said, fix="cairnops worker")
    else:
        yield _unseen("workers", said)
    yield Line(
        what="queue",
        state="blocked" if now["stuck"] else "ready",
        detail=f"{queue['waiting']} waiting, the oldest for {queue['oldestMs'] // 1000} s; {queue['parked']} parked",
        fix="; ".join(now["stuck"]) or ("cairnops jobs list --parked" if queue["parked"] else ""),
    )


def _database_clock(w: "Workspace") -> Line:
    from cairnops.store import upkeep
    from cairnops.workspace import now

    asked = now()
    theirs = upkeep.clock_ms(w.ledger.engine)
    if theirs is None:
        return _unseen("database clock", "a file goes by this machine's")
    # It was read somewhere between the question and the answer.
    middle = asked + (now() - asked) / 2
    return _apart("database clock", theirs / 1000 - middle.timestamp(), "the database")


def _key(w: "Workspace") -> Line:
    from cairnops.errors import CairnError

    path = w.root / "keys" / "ledger.key"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        mine, held = w.signer().key, w.seals.held_keys()
    except OSError as error:
        return Line(
            what="ledger key", state="blocked", detail=f"{path}: {error.strerror}", fix="Put it back."
        )
    except CairnError as error:
        return _blocked("ledger key", error)
    if mode & 0o077:
        detail = f"{path} can be read by others ({mode:03o})"
        return Line(what="ledger key", state="blocked", detail=detail, fix=f"chmod 600 {path}")
    if held and held[-1].key != mine:
        detail = f"the log is sealed with another key, {held[-1].key.id.hex()}"
        if w.settings["DATABASE_URL"]:
            return _unseen("ledger key", f"{detail}: whoever holds it seals")
        return Line(what="ledger key", state="blocked", detail=detail, fix="Put it back from a copy.")
    return Line(what="ledger key", state="ready", detail=f"{path} is its owner's alone")


def _help_desk(settings: "Settings", root: Path) -> Iterator[Line]:
    from cairnops.cli import chatwoot_account

    lines, date = chatwoot_account.look(settings, root)
    yield from lines
    if settings["CHATWOOT_BASE_URL"]:
        yield _clock(date) if date else _unseen("clock", "the help desk did not answer")
    else:
        yield _unseen("clock", "the simulator goes by this machine's")


def _clock(date: str) -> Line:
    from email.utils import parsedate_to_datetime

    from cairnops.workspace import now

    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return _unseen("clock", "the help desk's answer has no date")
    if theirs.tzinfo is None:
        return _unseen("clock", "the help desk's date has no time zone")
    return _apart("clock", (theirs - now()).total_seconds(), "the help desk")


def _apart(what: str, seconds: float, whose: str) -> Line:
    apart = round(seconds)
    if abs(apart) > _SKEW_S:
        where = "ahead of" if apart > 0 else "behind"
        return Line(
            what=what,
            state="blocked",
            detail=f"{whose} is {abs(apart)} s {where} this machine",
            fix="Let both keep network time; waiting times are wrong by as much.",
        )
    return Line(what=what, state="ready", detail=f"within {_SKEW_S} s of {whose}'s")


def _disk(root: Path) -> Line:
    there = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free // 2**20
    if free < _ROOM_MB:
        return Line(what="disk", state="blocked", detail=f"{free} MB free at {there}", fix="Make room.")
    return Line(what="disk", state="ready", detail=f"{free:,} MB free at {there}")


def _versions() -> Line:
    import platform
    from importlib import metadata

    from cairnops import __version__

    parts = [f"cairnops {__version__}", f"Python {platform.python_version()}"]
    for name in ("sqlalchemy", "streamlit", "psycopg", "supabase"):
        try:
            parts.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            parts.append(f"no {name}")
    return Line(what="versions", state="ready", detail=", ".join(parts))
