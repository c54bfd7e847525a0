"""`policy`: which numbers are in force, how they differ, and whether they hold together."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import JsonOption, SessionOption, WorkspaceOption, narrate, opened
from cairnops.cli.report import ExportsArgument, account, chosen_policy, gathered

app = typer.Typer(help="The rules' numbers: thresholds, clocks, word lists, labels.", no_args_is_help=True)


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="Only this key (sla.minutes), or a section of them (sla).")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print every key of the policy in force, its value, and who set it.

    Long lists are cut short; name a key to see all of it.

    Example: cairnops policy show refund
    """
    from cairnops import codec
    from cairnops.domain.policy import flatten
    from cairnops.errors import NotFound

    with opened(workspace) as w:
        in_force = w.in_force
        profile = f"profile {in_force.policy.profile}"
        rows = [
            {"key": path, "value": codec.plain(value), "setBy": in_force.set_by.get(path, profile)}
            for path, value in flatten(in_force.policy)
            if not key or path == key or path.startswith(f"{key}.")
        ]
        data = {"hash": codec.policy_hash(in_force.policy), "values": rows}
    if not rows:
        raise NotFound(f"The policy has no key {key}.", hint="cairnops policy show lists every key.")

    def tell() -> None:
        changed = sum(r["setBy"] != profile for r in rows)
        render.say(f"{profile}, {changed} of {wording.count(len(rows), 'value')} set otherwise")
        render.say(f"policy hash {data['hash']}\n")
        limit = 10_000 if key else 60
        render.table(
            ("Key", "Value", "Set by"),
            [
                (
                    r["key"],
                    wording.short(wording.value(r["value"]), limit),
                    "profile" if r["setBy"] == profile else r["setBy"],
                )
                for r in rows
            ],
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
    from cairnops.policy_file import load_policy
    from cairnops.settings import Settings

    with opened(workspace) as w:
        mine = w.policy
        if not other:
            theirs, name = policies.profile(mine.profile), f"profile {mine.profile}"
        elif other in policies.PROFILES:
            theirs, name = policies.profile(other), f"profile {other}"  # type: ignore[arg-type]
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
            render.say(f"the policy in force is the same as {name}")
            return
        render.table(
            ("Key", "In force", name),
            [
                (
                    r["key"],
                    wording.short(wording.value(r["inForce"])),
                    wording.short(wording.value(r["other"])),
                )
                for r in rows
            ],
            wrap=("In force", name),
        )

    render.emit(rows, as_json, tell)
    exits.findings(rows)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A policy file (default: the workspace's).")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a policy file: unknown keys, wrong kinds, numbers that contradict each other.

    Exit code 2 when it cannot be used.

    Example: cairnops policy check
    """
    from cairnops import codec
    from cairnops.errors import PolicyError
    from cairnops.policy_file import load_policy
    from cairnops.settings import Settings

    if file is None:
        with opened(workspace) as w:
            file, policy = w.policy_file, w.policy
    elif not file.is_file():
        raise PolicyError(
            f"There is no file {file}.", hint="Name a policy file, or none for the workspace's."
        )
    else:
        policy = load_policy(file, Settings({})).policy
    data = {"file": str(file), "profile": policy.profile, "hash": codec.policy_hash(policy)}
    render.emit(data, as_json, lambda: narrate(f"{file}: profile {policy.profile}, no problems"))


@app.command()
def backtest(
    policy: Annotated[
        str, typer.Option("--policy", metavar="PROFILE|FILE", help="The policy to judge past decisions by.")
    ],
    exports: ExportsArgument = None,
    was: Annotated[
        str,
        typer.Option(
            "--was",
            metavar="PROFILE|FILE",
            help="A policy decisions were made under, when it is neither a profile nor the workspace's.",
            show_default=False,
        ),
    ] = "",
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which past decisions another policy would have judged differently, by rule, with examples.

    Judged again from what was stored: decisions, and conversations with their texts. What nobody can judge
    again is counted and said.

    Exit code 0 none differ, 1 some do, 2 not readable, 3 not enough data to say.

    Example: cairnops policy backtest --policy pilot
    """
    from cairnops.analytics.backtest import backtest as judge_again

    new = chosen_policy(policy, workspace)
    known = [chosen_policy("", workspace), *([chosen_policy(was, workspace)] if was else [])]
    material = gathered(exports, session, workspace, texts=True)
    found = judge_again(material, new, known=known)
    data = {**found.to_dict(), "inputs": account(material)}
    render.emit(data, as_json, lambda: _tell_backtest(data))
    if found.exit_code:
        exits.leave(found.exit_code)


def _tell_backtest(data: dict[str, Any]) -> None:
    name = f"profile {data['policy']['profile']}, hash {data['policy']['hash'][:16]}"
    render.say(f"{wording.count(data['decisions'], 'decision')} judged again by {name}")
    for made in data["madeUnder"]:
        known = "" if made["known"] else ", a policy nobody named: compared with what was recorded only"
        render.say(
            f"{made['decisions']} made under {made['profile']} {made['hash'][:16]}{known}", "  ", "    "
        )
    if data["differences"]:
        render.say()
        render.table(
            ("Rule", "Decisions", "From → to"),
            [
                (d["rule"], d["decisions"], [f"{kind}: {count}" for kind, count in d["kinds"].items()])
                for d in data["differences"]
            ],
            wrap=("Rule", "From → to"),
        )
        render.say("\nExamples")
        for d in data["differences"]:
            for e in d["examples"]:
                what = f"{e['decisionId']} {e['action'].removeprefix('chatwoot.')} on {e['conversation']}"
                said = f": {e['sentence']}" if e["sentence"] else ""
                render.say(
                    f"{d['rule']}: {what} by {e['actor']}, {e['before']} → {e['after']}{said}", "  ", "    "
                )
    if data["unjudged"]:
        render.say("\nCannot be judged again")
        for u in data["unjudged"]:
            render.say(
                f"{u['rule']}, {wording.count(u['decisions'], 'decision')}: {u['reason']}", "  ", "    "
            )
    differs = f"{data['differing']} of {data['decisions']} decisions would have been judged differently"
    render.say(f"\n{differs}, {data['wouldBeRefused']} of them refused")
    if data["undecidable"]:
        render.say(f"Not enough data to say by {', '.join(data['undecidable'])}.", "", "  ")
