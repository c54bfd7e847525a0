"""`policy`: which numbers are in force, how they differ, and whether they hold together."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cairnops.cli import exits, render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate, opened

app = typer.Typer(help="The rules' numbers: thresholds, clocks, word lists, labels.", no_args_is_help=True)


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="Only keys that begin like this (sla, sla.minutes).")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print every key of the policy in force, its value, and who set it.

    Example: cairnops policy show sla
    """
    from cairnops import codec
    from cairnops.domain.policy import flatten

    with opened(workspace) as w:
        in_force = w.in_force
        profile = f"profile {in_force.policy.profile}"
        rows = [
            {"key": path, "value": codec.plain(value), "setBy": in_force.set_by.get(path, profile)}
            for path, value in flatten(in_force.policy)
            if path.startswith(key)
        ]
        data = {"hash": codec.policy_hash(in_force.policy), "values": rows}
    if not rows:
        from cairnops.errors import NotFound

        raise NotFound(f"No key of the policy begins with {key}.", hint="cairnops policy show lists all.")

    def tell() -> None:
        print(f"policy hash {data['hash']}")
        render.table(
            ("Key", "Value", "Set by"),
            [(r["key"], _short(r["value"]), r["setBy"]) for r in rows],
            wrap=("Value",),
        )

    render.emit(data, as_json, tell)


@app.command()
def diff(
    other: Annotated[str, typer.Argument(help="A profile name or a policy file to compare with.")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where the policy in force differs from its profile, another profile, or another file.

    Exit code 1 when it differs.

    Example: cairnops policy diff parity
    """
    from cairnops import codec
    from cairnops.domain import policy as policies
    from cairnops.errors import PolicyError
    from cairnops.settings import Settings, load_policy

    with opened(workspace) as w:
        mine = w.policy
        if not other:
            theirs, name = policies.profile(mine.profile), f"profile {mine.profile}"
        elif other in policies.PROFILES:
            theirs, name = policies.profile(other), f"profile {other}"
        elif Path(other).is_file():
            theirs, name = load_policy(Path(other), Settings({})).policy, other
        else:
            raise PolicyError(
                f"{other} is neither a profile nor a policy file.",
                hint=f"Profiles: {', '.join(policies.PROFILES)}.",
            )
    rows = [
        {"key": path, "inForce": codec.plain(ours), "other": codec.plain(value)}
        for path, ours, value in policies.diff(mine, theirs)
        if path != "profile"
    ]

    def tell() -> None:
        if not rows:
            print(f"the policy in force is {name}, unchanged")
            return
        render.table(
            ("Key", "In force", name),
            [(r["key"], _short(r["inForce"]), _short(r["other"])) for r in rows],
            wrap=("In force", name),
        )

    render.emit(rows, as_json, tell)
    exits.findings(rows)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A policy file (default: the workspace's).")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Check a policy file: unknown keys, wrong kinds, numbers that contradict each other.

    Example: cairnops policy check policy.yaml
    """
    from cairnops.errors import PolicyError
    from cairnops.settings import Settings, load_policy

    if file is not None:
        if not file.is_file():
            raise PolicyError(f"{file} is not there.")
        policy = load_policy(file, Settings({})).policy
        narrate(f"{file}: profile {policy.profile}, no problems")
        return
    with opened(workspace) as w:
        narrate(f"{w.policy_file}: profile {w.policy.profile}, no problems")


def _short(value: Any) -> str:
    if isinstance(value, list):
        parts = [" ".join(str(x) for x in v.values()) if isinstance(v, dict) else str(v) for v in value]
        text = ", ".join(parts)
        return text if len(text) <= 70 else f"{text[:60]}… ({len(parts)})"
    return "—" if value is None else str(value)
