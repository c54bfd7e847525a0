"""`retention`: what is older than the policy keeps it, and removing it on record."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import render, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, existing, narrate

if TYPE_CHECKING:
    from cairnops.domain.retention import Plan
    from cairnops.workspace import Workspace

app = typer.Typer(help="Removing what is older than the policy keeps it.", no_args_is_help=True)

_HINT = "cairnops init makes one; -w names another."
_WORDS = {
    "session": "practice sessions",
    "assignment": "who worked on what",
    "run": "scenario results",
    "worksheet": "worksheet rows",
    "probe": "gate measurements",
    "conversation": "conversations",
    "breach": "breaches",
    "suggestion": "suggestions shown",
    "draft": "drafts",
    "sync_event": "outcomes of deliveries",
    "attempt": "tries of deliveries",
    "effect": "effects",
    "decision": "decisions",
    "follow_up": "promises",
    "event": "audit events",
    "request": "request keys",
}


@app.command()
def plan(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show what `retention apply` would remove now, and remove nothing.

    Counted by doing it and undoing it in one transaction, so it is what would be removed. Decisions that are not
    sealed yet stay, and so does everything that is still to be delivered.

    Example: cairnops retention plan
    """
    from cairnops.workspace import now

    with existing(workspace, hint=_HINT) as w:
        at = now()
        made = w.retention.plan(_until(w, at), actor(None, w.settings), at)
        data = _data(made)

    def tell() -> None:
        _tell(made)
        if made.rows:
            render.say()
            render.lines(
                [("plan", made.id), ("next", f"cairnops retention apply --plan {made.id} --as EMAIL:admin")]
            )

    render.emit(data, as_json, tell)


@app.command()
def apply(
    as_: ActorOption = None,
    plan: Annotated[
        str, typer.Option("--plan", metavar="ID", help="Only if it is still this plan.", show_default=False)
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Whatever the plan is now.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what is older than the policy keeps it, on record with your name.

    Much is removed in slices of some 500 decisions, so that nobody has to wait; what is interrupted is gone on with
    by applying it again.

    A decision leaves its number and its hash, so the log, its proofs and every checkpoint still hold. Nothing can
    bring back what is removed; files in the workspace's artifacts folder and exports stay.

    Example: cairnops retention apply --yes --as admin@shop.example:admin
    """
    from cairnops.domain import retention
    from cairnops.errors import CairnError, InputError
    from cairnops.workspace import now

    if bool(plan) == yes:
        raise InputError(
            "Say what is to be removed.", hint="--plan ID (cairnops retention plan shows it), or --yes."
        )
    with existing(workspace, hint=_HINT) as w:
        who, at = actor(as_, w.settings), now()
        if refused := retention.refusal(who.role):
            raise CairnError(refused, hint="Name one: --as EMAIL:admin.")
        days = {kind: f"{keeps} days" for kind, keeps in _days(w).items()}
        made = w.retention.apply(_until(w, at), who, at, expect=plan, why={"kept": days})
        mirrored = bool(w.settings["SUPABASE_URL"])
    if mirrored and made.rows:
        narrate("the Supabase project still has it: cairnops supabase retain")

    def tell() -> None:
        _tell(made)
        if made.rows:
            render.say(f"\n{wording.count(made.rows, 'row')} removed")

    render.emit(_data(made), as_json, tell)


def _days(w: "Workspace") -> dict[str, int]:
    kept = w.policy.retention
    return {
        "training": kept.training_days, "transcripts": kept.transcript_days, "decisions": kept.decision_days,
    }  # fmt: skip


def _until(w: "Workspace", at: Any) -> dict[str, Any]:
    from cairnops.domain import retention

    return retention.until(w.policy.retention, at)


def _data(made: "Plan") -> dict[str, Any]:
    return {
        "plan": made.id,
        "until": made.until,
        "rows": made.rows,
        "due": [
            {
                "kind": due.kind,
                "table": due.table,
                "rows": due.rows,
                "oldest": due.oldest or None,
                "newest": due.newest or None,
            }
            for due in made.due
        ],
        "unsealed": made.unsealed,
        "undelivered": made.undelivered,
    }


def _tell(made: "Plan") -> None:
    if made.unsealed:
        render.say(f"old decisions that stay, not sealed yet: {made.unsealed} (cairnops ledger seal)")
    if made.undelivered:
        what = "the newest, or with something still to be delivered"
        render.say(f"old decisions that stay, {what}: {made.undelivered}")
    if not made.rows:
        render.say("nothing is old enough to go")
        return
    render.table(
        ("Kind", "From before", "What", "Rows", "Oldest", "Newest"),
        [
            (
                due.kind,
                made.until[due.kind][:10],
                _WORDS[due.table],
                due.rows,
                wording.moment(due.oldest),
                wording.moment(due.newest),
            )
            for due in made.due
            if due.rows
        ],
        wrap=("What",),
    )
