"""`explain`: what a rule says, where it stands, what is in force, and which scenarios prove it."""

from typing import Annotated, Any

import typer

from cairnops.cli import render
from cairnops.cli.common import JsonOption, WorkspaceOption, opened


def explain(
    code: Annotated[str, typer.Argument(help="A rule code; without one, every rule is listed.")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a rule: its meaning, its place in the code, its threshold in force, and its proof.

    Example: cairnops explain refund.above_tier
    """
    from cairnops.domain import catalogue
    from cairnops.errors import NotFound

    if not code:
        listed = [
            {"code": e.rule.code, "severity": e.rule.severity.value, "title": e.rule.title}
            for e in catalogue.ENTRIES
        ]
        render.emit(
            listed,
            as_json,
            lambda: render.table(
                ("Code", "Severity", "Title"),
                [(r["code"], r["severity"], r["title"]) for r in listed],
                wrap=("Title",),
            ),
        )
        return
    entry = catalogue.find(code)
    if entry is None:
        near = catalogue.near(code)
        raise NotFound(
            f"No rule has the code {code}.",
            hint=f"Did you mean {near}?" if near else "cairnops explain lists every rule.",
        )
    with opened(workspace) as opened_workspace:
        data = _facts(entry, opened_workspace)
    render.emit(data, as_json, lambda: render.lines([(k, _said(v)) for k, v in data.items() if v]))


def _said(value: Any) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)


def _facts(entry: Any, workspace: Any) -> dict[str, Any]:
    from cairnops.domain.policy import flatten
    from cairnops.scenarios.loader import load_pack, shipped

    rule = entry.rule
    in_force = workspace.in_force
    values = dict(flatten(in_force.policy))
    if rule.threshold in values:
        shown = values[rule.threshold]
        text = ", ".join(str(v) for v in shown) if isinstance(shown, tuple) else str(shown)
        who = in_force.set_by.get(rule.threshold, f"profile {in_force.policy.profile}")
        threshold = f"{rule.threshold} = {text} (set by {who})"
    elif rule.threshold:
        threshold = f"{rule.threshold} (a setting; see cairnops settings)"
    else:
        threshold = ""
    overridable = [o.role.value for o in in_force.policy.guardrails.overridable if o.code == rule.code]
    proofs = [
        f"{pack.id}/{scenario.id}"
        for info in shipped()
        for pack in [load_pack(info.id)]
        for scenario in pack.scenarios
        if rule.code in scenario.proves
    ]
    return {
        "code": rule.code,
        "severity": rule.severity.value,
        "title": rule.title,
        "meaning": entry.meaning,
        "way out": rule.way_out,
        "threshold": threshold,
        "override": f"{overridable[0]} or above, with a reason" if overridable else "nobody",
        "switched off": "yes, by the policy" if rule.code in in_force.policy.guardrails.disabled else "",
        "source": rule.source,
        "stands in": entry.place,
        "proved by": proofs,
    }
