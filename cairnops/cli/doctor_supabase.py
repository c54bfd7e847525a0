"""What the doctor says of the Supabase project: whether it answers, has our tables, and keeps them from everybody."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cairnops.cli.doctor import Line

if TYPE_CHECKING:
    from cairnops.settings import Settings

_RLS = "row-level security"


def lines(settings: "Settings") -> Iterator[Line]:
    """The project itself, then whether anon is refused; only the first can be told without the second key."""
    from cairnops.connectors.supabase import Project
    from cairnops.errors import CairnError
    from cairnops.evidence import mirror

    if not settings["SUPABASE_URL"]:
        yield _unseen("Supabase", "SUPABASE_URL is not set")
        yield _unseen(_RLS, "there is no project")
        return
    try:
        with Project.of(settings, once=True) as project:
            mirror.check_layout(project)
            layout = mirror.SCHEMA_VERSION
            # An empty table shows nobody anything, whoever may read it.
            filled = project.readable(mirror.GUARDED)
    except CairnError as error:
        yield Line(what="Supabase", state="blocked", detail=str(error), fix=error.hint)
        yield _unseen(_RLS, "the project cannot be used")
        return
    yield Line(what="Supabase", state="ready", detail=f"{project.url} has our tables (layout {layout})")
    if not settings["SUPABASE_ANON_KEY"]:
        fix = "Set SUPABASE_ANON_KEY to the project's anon (publishable) key."
        yield Line(what=_RLS, state="not checked", detail="SUPABASE_ANON_KEY is not set", fix=fix)
        return
    try:
        with Project.of(settings, "SUPABASE_ANON_KEY", once=True) as anon:
            seen = anon.readable(filled)
    except CairnError as error:
        yield Line(what=_RLS, state="blocked", detail=str(error), fix=error.hint)
        return
    if seen:
        yield Line(
            what=_RLS,
            state="blocked",
            detail=f"whoever has the anon key reads {', '.join(seen)}",
            fix="Apply supabase/migrations/20260102000000_access.sql, and grant anon nothing of it back.",
        )
        return
    yield Line(what=_RLS, state="ready", detail=f"anon is refused all {len(filled)} tables that have rows")


def _unseen(what: str, why: str) -> Line:
    return Line(what=what, state="not checked", detail=why)
