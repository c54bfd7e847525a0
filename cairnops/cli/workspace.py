"""`init` and `settings`: what a workspace is made of and what is switched on."""

from pathlib import Path
from typing import Annotated

import typer

from cairnops.cli import render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate


def init(
    workspace: WorkspaceOption = None,
    profile: Annotated[
        str, typer.Option(help="Where the policy starts from: dry-run, parity or pilot.")
    ] = "dry-run",
) -> None:
    """Make a workspace: a folder with database, policy, keys and artifacts.

    Every other command makes one when it must; this one lets you choose the policy's profile first.

    Example: cairnops init --workspace training --profile pilot
    """
    from cairnops.domain.policy import PROFILES
    from cairnops.errors import PolicyError
    from cairnops.settings import Settings
    from cairnops.workspace import Workspace

    if profile not in PROFILES:
        raise PolicyError(f"Profile {profile!r} is not known.", hint=f"Profiles: {', '.join(PROFILES)}.")
    settings = Settings()
    root = workspace or Path(settings["CAIRNOPS_HOME"])
    with Workspace.open(root, settings, profile=profile) as made:
        if made.made:
            narrate(f"made workspace {root}: {', '.join(made.made)}")
        else:
            narrate(f"workspace {root} is there already; nothing changed")
        render.lines(
            [
                ("workspace", root),
                ("policy", f"{made.policy_file} (profile {made.policy.profile})"),
                ("database", root / "cairnops.db"),
                ("key", f"{root / 'keys' / 'ledger.key'} (yours only; never copy it)"),
                ("artifacts", made.artifacts),
                ("next", "cairnops dryrun run --pack cx-escalations"),
            ]
        )


def settings(as_json: JsonOption = False) -> None:
    """Show every setting with its value and where it comes from; secrets show only whether they are set.

    Example: FEATURE_AI_ESCALATIONS=1 cairnops settings
    """
    from cairnops.settings import Settings

    rows = Settings().table()
    render.emit(
        rows,
        as_json,
        lambda: render.table(
            ("Setting", "Value", "From"), [(r["name"], r["value"], r["source"]) for r in rows], wrap=("From",)
        ),
    )
