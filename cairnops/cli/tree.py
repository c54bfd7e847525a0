"""Every command: one module per noun, grouped in the help by who types it."""

import inspect
from pathlib import Path

import typer
from typer.core import TyperGroup

from cairnops.cli import (
    chatwoot,
    chatwoot_account,
    conversations,
    db,
    decisions,
    deliver,
    desk_app,
    doctor,
    dryrun,
    evidence,
    exits,
    fixtures,
    jobs,
    ledger,
    listen,
    policy,
    practice,
    reconcile,
    render,
    report,
    report_html,
    retention,
    rules,
    scenarios,
    session,
    supabase,
    worker,
    worksheet,
    workspace,
)
from cairnops.errors import CLEAN

LEAD = "Enablement lead: prepare and run a session"
QA = "QA: check what was decided"
ANALYST = "Analyst: figures over exports"
OPERATOR = "Operator and trainer: understand the rules"
ADMIN = "Whoever sets it up"


class _Ordered(TyperGroup):
    """Lists commands as they stand below, so that the help's panels come in the order of the work."""

    def list_commands(self, context: typer.Context) -> list[str]:  # type: ignore[override]
        """The names, in the order of `_ORDER`; whatever is not in it comes last."""
        names = super().list_commands(context)
        return sorted(names, key=lambda n: _ORDER.index(n) if n in _ORDER else len(_ORDER))


_ORDER = (
    "dryrun", "app", "scenarios", "session", "deliver", "evidence", "worksheet", "reconcile", "decisions",
    "conversations", "ledger", "summary", "report", "explain", "policy", "init", "settings", "db", "retention",
    "supabase", "worker", "jobs", "doctor", "fixtures", "chatwoot",
)  # fmt: skip

#: The reference pages come with the package; who installed it from an index has no repository to look in.
_PAGES = Path(__file__).resolve().parents[1] / "docs"

app = typer.Typer(
    name="cairnops",
    cls=_Ordered,
    help="Rehearse customer-support escalations and keep evidence that can be checked offline.",
    epilog=f"Start here:  cairnops dryrun run --pack cx-escalations\n\nTo read:  {_PAGES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(dryrun.app, name="dryrun", rich_help_panel=LEAD)
app.command("app", rich_help_panel=LEAD)(desk_app.app)
app.add_typer(scenarios.app, name="scenarios", rich_help_panel=LEAD)
session.app.command("seed")(practice.seed)
session.app.command("debrief")(practice.debrief)
app.add_typer(session.app, name="session", rich_help_panel=LEAD)
app.add_typer(evidence.app, name="evidence", rich_help_panel=LEAD)
app.add_typer(conversations.app, name="conversations", rich_help_panel=QA)
app.command("worksheet", rich_help_panel=QA)(worksheet.worksheet)
app.command("reconcile", rich_help_panel=QA)(reconcile.reconcile)
app.add_typer(decisions.app, name="decisions", rich_help_panel=QA)
app.add_typer(ledger.app, name="ledger", rich_help_panel=QA)
app.command("deliver", rich_help_panel=LEAD)(deliver.deliver)
app.command("summary", rich_help_panel=ANALYST)(decisions.summary)
report.app.command("html")(report_html.html)
app.add_typer(report.app, name="report", rich_help_panel=ANALYST)
app.command("explain", rich_help_panel=OPERATOR)(rules.explain)
app.add_typer(policy.app, name="policy", rich_help_panel=OPERATOR)
app.add_typer(fixtures.app, name="fixtures", rich_help_panel=ADMIN)
app.command("init", rich_help_panel=ADMIN)(workspace.init)
app.command("settings", rich_help_panel=ADMIN)(workspace.settings)
app.add_typer(db.app, name="db", rich_help_panel=ADMIN)
app.add_typer(retention.app, name="retention", rich_help_panel=ADMIN)
app.add_typer(worker.app, name="worker", rich_help_panel=ADMIN)
app.add_typer(jobs.app, name="jobs", rich_help_panel=ADMIN)
app.command("doctor", rich_help_panel=ADMIN)(doctor.doctor)
app.add_typer(supabase.app, name="supabase", rich_help_panel=ADMIN)
chatwoot.app.command("smoke")(chatwoot_account.smoke)
chatwoot.app.command("seed")(chatwoot_account.seed)
chatwoot.app.command("unseed")(chatwoot_account.unseed)
chatwoot.app.command("listen")(listen.listen)
app.add_typer(chatwoot.app, name="chatwoot", rich_help_panel=ADMIN)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from cairnops import __version__

        render.raw(f"cairnops {__version__}\n")
        exits.leave(CLEAN)
    del context


def _flow(commands: typer.Typer) -> None:
    # The terminal says where a line of the help ends, not the source.
    said = [*commands.registered_commands, *filter(None, [commands.registered_callback])]
    for one in said:
        text = inspect.cleandoc(getattr(one.callback, "__doc__", None) or "")
        if text:
            one.help = "\n\n".join(part.replace("\n", " ") for part in text.split("\n\n"))
    for group in commands.registered_groups:
        if group.typer_instance:
            _flow(group.typer_instance)


_flow(app)
