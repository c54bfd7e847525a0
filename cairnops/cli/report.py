"""`report`: SLA, latency, practice and conversations, over the workspace or over exports of somebody else's."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cairnops.cli import baselines, exits, render, report_text, wording
from cairnops.cli.common import JsonOption, SessionOption, WorkspaceOption, narrate, opened

if TYPE_CHECKING:
    from cairnops.analytics.inputs import Material
    from cairnops.domain.policy import Policy
    from cairnops.policy_file import PolicyInForce

app = typer.Typer(
    help="Figures over decisions and conversations: SLA, latency, practice.", no_args_is_help=True
)
app.add_typer(baselines.app, name="baseline")

ExportsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="EXPORT",
        help="Exports (decisions, conversations, sync events) or a folder of them (default: the workspace).",
        show_default=False,
    ),
]
PolicyOption = Annotated[
    str,
    typer.Option(
        "--policy", metavar="PROFILE|FILE", help="Judge by this policy.", show_default="the workspace's"
    ),
]
AtOption = Annotated[
    str,
    typer.Option(
        "--at",
        metavar="MOMENT",
        help="As of this moment, ISO 8601 with a zone, or now.",
        show_default="the newest moment in the data",
    ),
]
MinSamplesOption = Annotated[
    int | None,
    typer.Option("--min-samples", min=1, help="Judge from this many on.", show_default="the policy's"),
]


@app.command()
def sla(
    exports: ExportsArgument = None,
    by: Annotated[
        Literal["operator", "team", "inbox", "priority", "day"],
        typer.Option(help="Break down by this; --json has every breakdown."),
    ] = "operator",
    policy: PolicyOption = "",
    at: AtOption = "",
    min_samples: MinSamplesOption = None,
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """First response, next response and resolution: met or missed; breaches under every clock.

    Exit code 0 fine or a warning, 1 critical, 2 not readable, 3 not enough data to say.

    Example: cairnops report sla --by day
    """
    from cairnops.analytics import sla as measures

    chosen = in_force(policy, workspace)
    material = gathered(exports, session, workspace)
    report = measures.measure(
        material.cases,
        chosen.policy,
        moment(at, material),
        decisions=material.decided,
        min_samples=min_samples,
        link=case_address(),
    )
    data = {**_with_overrides(report.to_dict(), chosen, min_samples), "inputs": account(material)}
    render.emit(data, as_json, lambda: report_text.tell_sla(data, by))
    if not material.cases:
        narrate(_NO_CONVERSATIONS)
    _leave(report.exit_code)


@app.command()
def latency(
    exports: ExportsArgument = None,
    policy: PolicyOption = "",
    at: AtOption = "",
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """From breach to decision, to delivery, from escalation to answer: distributions, open ones included.

    Exit code 0 fine, 1 an escalation waits past its target, 2 not readable, 3 nothing to measure.

    Example: cairnops report latency --session cx-escalations
    """
    from cairnops.analytics import latency as measures
    from cairnops.store.baselines import SqlBaselines

    chosen = in_force(policy, workspace)
    material = gathered(exports, session, workspace)
    by_hand = []
    if not exports or (_root(workspace) / "cairnops.db").exists():
        with opened(workspace) as w:
            by_hand = SqlBaselines(w.ledger.engine).standing()
    report = measures.measure(material, chosen.policy, moment(at, material), baselines=by_hand)
    data = {**_with_overrides(report.to_dict(), chosen), "inputs": account(material)}
    render.emit(data, as_json, lambda: report_text.tell_latency(data))
    _leave(report.exit_code)


@app.command()
def practice(
    exports: ExportsArgument = None,
    band: Annotated[
        str, typer.Option(metavar="FROM-TO", help="Where the escalation rate should be, percent.")
    ] = "10-15",
    policy: PolicyOption = "",
    min_samples: MinSamplesOption = None,
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Edits, abstentions, overrides, escalations, right answers; per operator and session, over time.

    Exit code 0, 2 not readable, 3 not enough data to say.

    Example: cairnops report practice --band 10-18
    """
    from cairnops.analytics import practice as measures

    edges = _band(band)
    chosen = in_force(policy, workspace)
    material = gathered(exports, session, workspace)
    report = measures.measure(
        material.decided, material.cases, chosen.policy, band=edges, min_samples=min_samples
    )
    data = {**_with_overrides(report.to_dict(), chosen, min_samples), "inputs": account(material)}
    render.emit(data, as_json, lambda: report_text.tell_practice(data))
    if not material.cases:
        narrate(_NO_CONVERSATIONS)
    _leave(report.exit_code)


@app.command()
def conversations(
    exports: ExportsArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write all columns to a .csv, .ndjson or .parquet file.",
            show_default=False,
        ),
    ] = None,
    link: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address of a conversation, with {id} in it.",
            show_default="from CHATWOOT_BASE_URL",
        ),
    ] = "",
    policy: PolicyOption = "",
    at: AtOption = "",
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """One row a conversation: whose, when answered and resolved, every clock, decisions, rating.

    Exit code 0, 2 not readable, 3 no conversations.

    Example: cairnops report conversations -o conversations.csv
    """
    from cairnops.analytics import conversations as measures
    from cairnops.errors import NOT_ENOUGH, InputError

    if output and as_json:
        raise InputError("--json prints, --output writes.", hint="Leave out one of them.")
    if link and "{id}" not in link:
        raise InputError("--link has no {id} in it.", hint="Write {id} where the conversation's number goes.")
    chosen = chosen_policy(policy, workspace)
    material = gathered(exports, session, workspace)
    rows = measures.rows(
        material.cases, material.decided, chosen, moment(at, material), link=link or case_address()
    )
    if not rows:
        narrate(_NO_CONVERSATIONS)
    if output:
        from cairnops.evidence import cases

        written = cases.write(output, rows, measures.KINDS)
        narrate(f"wrote {wording.count(len(rows), 'row')}, sha256 {written.sha256}")
        render.raw(f"{render.safe(output)}\n")
    else:
        render.emit(rows, as_json, lambda: report_text.tell_conversations(rows))
    _leave(0 if rows else NOT_ENOUGH)


# -- what the commands share, with `policy backtest` and the page


def chosen_policy(given: str, workspace: Path | None) -> "Policy":
    """The policy a name or a file stands for; the workspace's when nothing is given.

    Raises:
        PolicyError: for what is neither a profile nor a file that can be used.
    """
    return in_force(given, workspace).policy


def in_force(given: str, workspace: Path | None) -> "PolicyInForce":
    """The same, with who set which of its values.

    Raises:
        PolicyError: as `chosen_policy`.
    """
    from cairnops.domain import policy as policies
    from cairnops.errors import PolicyError
    from cairnops.policy_file import PolicyInForce, load_policy
    from cairnops.settings import Settings

    if not given:
        return load_policy(_root(workspace) / "policy.yaml", Settings())
    if given in policies.PROFILES:
        return PolicyInForce(policies.profile(given), {})  # type: ignore[arg-type]
    if not Path(given).is_file():
        raise PolicyError(
            f"{given} is neither a profile nor a policy file.",
            hint=f"Profiles: {', '.join(policies.PROFILES)}.",
        )
    return load_policy(Path(given), Settings({}))


def _with_overrides(
    found: dict[str, Any], chosen: "PolicyInForce", min_samples: int | None = None
) -> dict[str, Any]:
    """The figures of a report, and beside its policy what was set otherwise, by whom, and what the profile says."""
    from cairnops import codec

    overrides = [codec.record(o) for o in chosen.overrides()]
    if min_samples is not None:
        held = chosen.policy.alerts.min_samples
        of_policy = {
            "key": "alerts.min_samples",
            "value": min_samples,
            "instead": held,
            "by": "--min-samples",
        }
        overrides = [*(o for o in overrides if o["key"] != "alerts.min_samples"), of_policy]
    return {**found, "policy": {**found["policy"], "overrides": overrides}}


def gathered(
    exports: list[Path] | None, session: str, workspace: Path | None, *, texts: bool = False
) -> "Material":
    """What the measures look at: the exports named, else the workspace; with a session, only what is its.

    Raises:
        InputError: for an export that cannot be read.
        NotFound: for a session the workspace does not have.
    """
    from cairnops.analytics import inputs

    if exports:
        material = inputs.load(*exports)
        _tell_problems(material)
        return material.of_session(session) if session else material
    from cairnops.evidence import exports as shapes

    with opened(workspace) as w:
        if session:
            w.sessions.get(session)
        kinds: tuple[shapes.Shape, ...] = ("decisions", "sync-events", "conversations")
        return inputs.of_rows(
            row for kind in kinds for row in shapes.rows(w.ledger, kind, session=session, texts=texts)
        )


def account(material: "Material") -> dict[str, Any]:
    """What was read, and what of it could not be used."""
    from cairnops import codec

    return {
        "sources": [codec.record(s) for s in material.sources],
        "decisions": len(material.decided),
        "conversations": len(material.cases),
        "syncEvents": len(material.deliveries),
        "duplicates": material.duplicates,
        "otherShapes": material.other,
        "unusable": material.unusable,
        "problems": [codec.record(p) for p in material.problems],
    }


def moment(text: str, material: "Material") -> datetime:
    """The moment to judge at: as given, `now`, or the newest of the data.

    Raises:
        InputError: for what is no moment.
    """
    from cairnops import codec
    from cairnops.errors import InputError
    from cairnops.workspace import now

    if not text:
        return material.newest or now()
    if text == "now":
        return now()
    try:
        return codec.moment(text)
    except ValueError:
        raise InputError(
            f"{text!r} is no moment.", hint="Write it like 2025-10-16T18:00:00Z, with the zone, or now."
        ) from None


_NO_CONVERSATIONS = (
    "no conversations among the inputs; cairnops decisions export --shape conversations writes them"
)


def _root(workspace: Path | None) -> Path:
    from cairnops.settings import Settings

    return workspace or Path(Settings()["CAIRNOPS_HOME"])


def case_address() -> str:
    from cairnops.evidence import report
    from cairnops.settings import Settings

    return report.case_address(Settings())


def _leave(code: int) -> None:
    if code:
        exits.leave(code)


def _band(text: str) -> tuple[int, int]:
    from cairnops.errors import InputError

    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and low.isascii() and high.isascii()):
        raise InputError(f"{text!r} is no band.", hint="Write two whole percentages, such as 10-15.")
    edges = int(low), int(high)
    if not edges[0] <= edges[1] <= 100:
        raise InputError(
            f"{text!r} is no band.", hint="The first percentage is the lower one, both at most 100."
        )
    return edges


def _tell_problems(material: "Material") -> None:
    if material.unusable:
        first = material.problems[0]
        narrate(
            f"{wording.count(material.unusable, 'row')} could not be used; the first is line {first.line} of"
            f" {first.source}: {first.reason}"
        )
    if material.other:
        narrate(f"{wording.count(material.other, 'row')} of a shape no figure rests on")
    if material.duplicates:
        narrate(f"{wording.count(material.duplicates, 'row')} given more than once, counted once")
    rejects = sum(s.rejects for s in material.sources)
    if rejects:
        narrate(f"{wording.count(rejects, 'line')} not read; cairnops summary FILE says why")
