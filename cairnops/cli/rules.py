"""`explain`: what a rule says, where it stands, what is in force, and which scenarios prove it."""

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import render, wording
from cairnops.cli.common import JsonOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from cairnops.domain.catalogue import Entry
    from cairnops.scenarios.model import Pack
    from cairnops.workspace import Workspace


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
    with opened(workspace) as w:
        data = _facts(entry, w)
    render.emit(data, as_json, lambda: _tell(data))


def proofs(code: str) -> list[str]:
    """The scenarios that ship and turn red without the rule, as `pack/scenario`."""
    return [
        f"{pack.id}/{scenario.id}"
        for pack in _packs()
        for scenario in pack.scenarios
        if code in scenario.proves
    ]


@cache
def _packs() -> "list[Pack]":
    from cairnops.scenarios.loader import load_pack, shipped

    return [load_pack(info.name) for info in shipped()]


def _facts(entry: "Entry", workspace: "Workspace") -> dict[str, Any]:
    from cairnops import codec
    from cairnops.domain.policy import flatten

    rule, in_force = entry.rule, workspace.in_force
    profile = f"profile {in_force.policy.profile}"
    values = dict(flatten(in_force.policy))
    threshold = None
    if rule.threshold in values:
        threshold = {
            "key": rule.threshold,
            "value": codec.plain(values[rule.threshold]),
            "setBy": in_force.set_by.get(rule.threshold, profile),
        }
    elif rule.threshold:
        threshold = {
            "key": rule.threshold,
            "value": codec.plain(workspace.settings[rule.threshold]),
            "setBy": next(r["source"] for r in workspace.settings.table() if r["name"] == rule.threshold),
        }
    return {
        "code": rule.code,
        "severity": rule.severity.value,
        "title": rule.title,
        "meaning": wording.prose(entry.meaning),
        "wayOut": rule.way_out,
        "threshold": threshold,
        "overrideRole": next(
            (o.role.value for o in in_force.policy.guardrails.overridable if o.code == rule.code), None
        ),
        "switchedOff": rule.code in in_force.policy.guardrails.disabled,
        "source": rule.source,
        "standsIn": entry.place,
        "provedBy": proofs(rule.code),
    }


def _tell(data: dict[str, Any]) -> None:
    threshold = data["threshold"]
    override = ""
    if data["overrideRole"]:
        override = f"a {data['overrideRole']} or above may go ahead, with a reason"
    elif data["severity"] == "block":
        override = "nobody may go ahead against it"
    pairs = [
        ("rule", f"{data['code']} ({data['severity']})"),
        ("title", data["title"]),
        ("meaning", data["meaning"] if data["meaning"] != f"{data['title']}." else ""),
        ("way out", data["wayOut"]),
        (
            "threshold",
            f"{threshold['key']} = {wording.value(threshold['value'])} (set by {threshold['setBy']})"
            if threshold
            else "",
        ),
        ("override", override),
        ("switched off", "yes, by the policy" if data["switchedOff"] else ""),
        ("source", data["source"]),
        ("stands in", data["standsIn"]),
        ("proved by", "\n".join(data["provedBy"]) or "no scenario that ships"),
    ]
    render.lines([(k, v) for k, v in pairs if v])
