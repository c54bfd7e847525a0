"""`db`: what the database is, whether it is whole, and to bring it up to date or elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate

if TYPE_CHECKING:
    from cairnops.store.engine import Engine

app = typer.Typer(help="The database a workspace keeps its ledger in.", no_args_is_help=True)


@app.command()
def status(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show where the database is, its layout, and how much it holds.

    Exit code 1 when it has to be upgraded, or was moved elsewhere.

    Example: cairnops db status
    """
    from cairnops.store import upkeep

    with _database(workspace) as engine:
        found = upkeep.status(engine)

    def tell() -> None:
        current = found["layout"] == found["needed"]
        pairs = [
            ("database", found["place"]),
            ("kind", f"{found['kind']} {found['version']}"),
            (
                "layout",
                found["layout"] if current else f"{found['layout']}; this cairnops needs {found['needed']}",
            ),
        ]
        if found["movedTo"]:
            pairs.append(("moved to", found["movedTo"]))
        if not current:
            pairs.append(("next", "cairnops db upgrade"))
        render.lines(pairs)
        if found["rows"]:
            render.say()
            render.table(("Table", "Rows"), [(name, count) for name, count in found["rows"].items()])

    render.emit(found, as_json, tell)
    exits.findings(found["layout"] != found["needed"] or found["movedTo"])


@app.command()
def check(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Look whether the database is whole: its layout, its rules, every decision's hash, every signed tree.

    Exit code 1 when something is not as it should be. Against somebody who may change the database as they
    like, verify a bundle or an export with a checkpoint kept elsewhere.

    Example: cairnops db check
    """
    from cairnops.store import upkeep

    with _database(workspace) as engine:
        found = upkeep.check(engine)

    def tell() -> None:
        for one in found:
            render.lines(
                [(one["what"], "as it should be" if one["ok"] else f"{len(one['findings'])} findings")]
            )
            for finding in one["findings"]:
                render.say(finding, indent="  ", hanging="  ")

    render.emit(found, as_json, tell)
    exits.findings([one for one in found if not one["ok"]])


@app.command()
def upgrade(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Give a database made by an older cairnops today's layout, in one transaction.

    A SQLite file is copied beside itself first; back a server's database up where it is kept. What is
    still to be delivered is kept for the help desk the settings name.

    Example: cairnops db upgrade
    """
    from cairnops.settings import Settings
    from cairnops.store import migrations
    from cairnops.workspace import destination, now

    with _database(workspace) as engine:
        copy = ""
        if migrations.outstanding(engine) and not Settings()["DATABASE_URL"]:
            copy = migrations.backup(engine, now().strftime("%Y%m%dT%H%M%SZ"))
            narrate(f"the database as it was is {copy}")
        root = workspace or Path(Settings()["CAIRNOPS_HOME"])
        steps = migrations.upgrade(engine, destination(root, Settings()))
    done = {"steps": steps, "backup": copy}
    said = f"now at layout {steps[-1]}" if steps else "nothing to do: the database has today's layout"
    render.emit(done, as_json, lambda: render.raw(f"{said}\n"))


@app.command()
def copy(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL|PATH",
            help="The workspace, its file, or the address of a PostgreSQL database.",
        ),
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="URL|PATH", help="The same; it must hold no ledger yet.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Move a ledger to an empty database: every row, the log and its checkpoints, compared before it counts.

    Stop desks and workers first. Afterwards the database it came from can be read and no longer be
    written, so that nothing is decided or delivered twice. Keys and artifacts stay in the workspace folder.

    Example: cairnops db copy --from .cairnops --to copy.db
    """
    from cairnops.store import upkeep

    with _named(source, there=True) as here, _named(target, there=False) as there:
        rows = upkeep.move(here, there)
        found = upkeep.status(there)

    def tell() -> None:
        render.lines(
            [
                ("moved to", found["place"]),
                ("rows", sum(rows.values())),
                ("decisions", rows["decision"]),
                ("sealed", rows["seal"]),
                ("checkpoints", rows["checkpoint"]),
            ]
        )

    render.emit({"to": found["place"], "rows": rows}, as_json, tell)


@contextmanager
def _database(workspace: Path | None) -> Iterator["Engine"]:
    """The database of a workspace as it is, whatever its layout."""
    from cairnops.settings import Settings

    settings = Settings()
    root = workspace or Path(settings["CAIRNOPS_HOME"])
    with _opened(settings["DATABASE_URL"], root / "cairnops.db", any_layout=True, there=True) as engine:
        yield engine


@contextmanager
def _named(text: str, *, there: bool) -> Iterator["Engine"]:
    """The database at an address, in a file, or in a workspace folder."""
    from cairnops.settings import Settings

    if "://" in text:
        with _opened(Settings({"DATABASE_URL": text})["DATABASE_URL"], Path(), there=there) as engine:
            yield engine
        return
    path = Path(text) / "cairnops.db" if Path(text).is_dir() else Path(text)
    with _opened("", path, there=there) as engine:
        yield engine


@contextmanager
def _opened(url: str, path: Path, **how: Any) -> Iterator["Engine"]:
    from cairnops.errors import WorkspaceError
    from cairnops.store.engine import open_database

    if how.pop("there") and not url and not path.exists():
        raise WorkspaceError(f"{path} is not there.", hint="cairnops init makes a workspace.")
    engine = open_database(url, path, **how)
    try:
        yield engine
    finally:
        engine.dispose()
