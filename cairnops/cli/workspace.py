"""`init` and `settings`: what a workspace is made of and what is switched on."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cairnops.cli import common, render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate


def init(
    workspace: WorkspaceOption = None,
    profile: Annotated[
        Literal["dry-run", "parity", "pilot"] | None,
        typer.Option(help="Where the policy starts from (default: dry-run).", show_default=False),
    ] = None,
) -> None:
    """Make a workspace: a folder with database, policy, keys and artifacts.

    Every other command makes one when it must; this one lets you choose the policy's profile first.

    Example: cairnops init --workspace training --profile pilot
    """
    from cairnops.errors import PolicyError
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

    settings = Settings()
    root = workspace or Path(settings["CAIRNOPS_HOME"])
    with Workspace.open(root, settings, profile=profile or "dry-run") as w:
        if profile and w.policy.profile != profile:
            raise PolicyError(
                f"{root} is there already, with profile {w.policy.profile}.",
                hint=f"Change the profile in {w.policy_file}, or choose another --workspace.",
            )
        narrate(common.made(w) if w.made else f"workspace {root} is there already; nothing changed")
        render.lines(
            [
                ("workspace", root),
                ("policy", f"{w.policy_file} (profile {w.policy.profile})"),
                ("database", w.place),
                ("key", f"{root / 'keys' / 'ledger.key'} (yours only; never copy it)"),
                ("artifacts", w.artifacts),
                ("next", "cairnops dryrun run --pack cx-escalations"),
            ]
        )


def settings(as_json: JsonOption = False) -> None:
    """Show every setting with its value and where it comes from; secrets show only whether they are set.

    Example: cairnops settings
    """
    from cairnops.settings import Settings

    rows = Settings().table()

    def tell() -> None:
        render.table(
            ("Setting", "Value", "From", "What it does"),
            [
                (
                    r["name"],
                    r["value"] or "none",
                    r["source"].removeprefix("environment ").replace(r["name"], "environment"),
                    r["help"],
                )
                for r in rows
            ],
            wrap=("Value", "From", "What it does"),
        )

    render.emit(rows, as_json, tell)
