"""`decisions`: what was decided, delivered and exported, and the figures over any export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cairnops.cli import exits, imports, render, wording
from cairnops.cli.common import JsonOption, SessionOption, WorkspaceOption, narrate, opened

if TYPE_CHECKING:
    from cairnops.workspace import Workspace

app = typer.Typer(help="Decisions and their deliveries: list, show, export, summarise.", no_args_is_help=True)


@app.command("list")
def list_decisions(
    session: SessionOption = "",
    conversation: Annotated[
        str, typer.Option(help="Only this conversation (1045 or chatwoot:1045).", show_default=False)
    ] = "",
    actor: Annotated[str, typer.Option(metavar="EMAIL", help="Only this person's.", show_default=False)] = "",
    scope: Annotated[
        Literal["ops", "build", "all"],
        typer.Option(help="What people decided (ops), what AI suggested to them (build), or both."),
    ] = "ops",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List decisions, newest last, with how each was delivered.

    Example: cairnops decisions list --session cx-escalations
    """
    with opened(workspace) as w:
        if session:
            w.sessions.get(session)
        found = w.ledger.decisions(
            session=session,
            conversation=conversation.removeprefix("chatwoot:"),
            actor=actor,
            scope="" if scope == "all" else scope,
        )
        delivered = _delivered(w, session)
    rows = [
        {
            "decisionId": d["decisionId"],
            "uid": d["uid"],
            "scope": d["scope"],
            "action": d["action"],
            "conversation": d["conversation"],
            "actor": d["actor"]["email"],
            "createdAt": d["createdAt"],
            "delivery": delivered.get(d["uid"], []),
        }
        for d in found
    ]

    def tell() -> None:
        if not rows:
            narrate("no decisions")
            return
        render.table(
            ("Id", "When (UTC)", "Action", "Conversation", "By, delivered how"),
            [
                (
                    r["decisionId"],
                    wording.moment(r["createdAt"]),
                    _action(r["action"]),
                    r["conversation"].removeprefix("chatwoot:"),
                    [r["actor"], *r["delivery"]],
                )
                for r in rows
            ],
            wrap=("Action", "By, delivered how"),
        )

    render.emit(rows, as_json, tell)


def _action(name: str) -> str:
    """`chatwoot.approve_send` as `approve_send`, `suggestion.shown` as `suggestion shown`."""
    return name.removeprefix("chatwoot.").replace(".", " ")


def _delivered(workspace: "Workspace", session: str) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for effect in workspace.ledger.deliveries(session=session):
        final = effect["final"]
        told = f"{final['status']}, attempt {final['attempt']}" if final else "not yet sent"
        out.setdefault(effect["decision"], []).append(f"{effect['kind']} {told}")
    return out


def delivery(effect: dict[str, Any]) -> str:
    """How an effect ended: `reply: TIMEOUT at attempt 3, ETIMEDOUT`, or that it was not sent yet."""
    final = effect["final"]
    if final is None:
        return f"{effect['kind']}: saved, not yet sent"
    code = f", {final['error_code']}" if final["error_code"] else ""
    return f"{effect['kind']}: {final['status']} at attempt {final['attempt']}{code}"


@app.command()
def show(
    decision: Annotated[str, typer.Argument(help="A decision id (104) or uid.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one decision whole: suggestion against what was approved, verdicts, the SLA clocks, every attempt.

    Example: cairnops decisions show 102
    """
    from cairnops.errors import NotFound

    # An empty filter matches everything, so neither 0 nor "" may become one.
    wanted: dict[str, Any] = {"uid": decision or "-"}
    if decision.isascii() and decision.isdecimal() and len(decision) < 19:
        wanted = {"number": int(decision) or -1}
    with opened(workspace) as w:
        found = w.ledger.decisions(**wanted)
        for stone in () if found else w.retention.tombstones():
            if decision in (stone.uid, str(stone.number)):
                raise NotFound(
                    f"Decision {stone.number} was removed by retention ({stone.actor}, {stone.at[:10]}).",
                    hint=f"Its hash is in the log: cairnops ledger prove {stone.number}.",
                )
        if not found:
            raise NotFound(f"There is no decision {decision}.", hint="cairnops decisions list --scope all")
        effects = w.ledger.deliveries(decision=found[0]["uid"])
    render.emit({**found[0], "deliveries": effects}, as_json, lambda: render.lines(_told(found[0], effects)))


def _told(d: dict[str, Any], effects: list[dict[str, Any]]) -> list[tuple[str, object]]:
    shown = d["suggestion"]
    origin = ""
    if shown:
        template = shown["templateId"] or "no template"
        origin = f"{template} ({'by AI' if shown['source'] == 'ai' else shown['source']})"
    pairs: list[tuple[str, object]] = [
        ("decision", f"{d['decisionId']} ({d['uid']}, scope {d['scope']})"),
        ("action", d["action"]),
        ("by", f"{d['actor']['email']} ({d['actor']['role']})"),
        ("when", f"{wording.moment(d['createdAt'])} UTC"),
        ("conversation", f"{d['conversation']}, shop {d['shopDomain']}"),
        ("session", d["session"]),
        ("priority", d["priority"]),
        ("rationale", d["rationale"]),
        ("reason", d["reason"]),
        ("note", d["note"]),
        ("override", f"went ahead against the block: {d['override']}" if d["override"] else ""),
        ("suggestion", origin),
        *_texts(d),
        ("fallback", d["fallback"].replace("_", " ")),
    ]
    if d["followUp"]:
        due = wording.moment(d["followUp"]["due"])
        pairs.append(("follow-up", f"{d['followUp']['owner']} by {due} UTC: {d['followUp']['text']}"))
    pairs += [("SLA", text) for text in _clocks(d["sla"])]
    pairs += [
        (
            "verdicts",
            f"{v['severity']} {v['code']}: {v['sentence']}{' (overridden)' if v['overridden'] else ''}",
        )
        for v in d["verdicts"]
    ]
    for effect in effects:
        pairs.append(("delivered", delivery(effect)))
        pairs += [
            (
                "delivered",
                f"  attempt {a['attempt']}: {a['error_code'] or a['answer']}, {_ms(a['duration_us'])}",
            )
            for a in effect["attempts"]
            if len(effect["attempts"]) > 1
        ]
    pairs += [("policy", f"{d['policyProfile']}, hash {d['policyHash'][:16]}"), ("leaf hash", d["leafHash"])]
    return [(k, v) for k, v in pairs if v]


def _texts(d: dict[str, Any]) -> list[tuple[str, object]]:
    # Approved, not sent: whether the customer ever got it stands with the deliveries.
    from cairnops.domain import edits

    shown, approved = d["suggestion"], d["finalText"]
    if not approved:
        return [("suggested", shown["text"])] if shown else []
    if not shown:
        return [("approved", approved)]
    if not d["edited"]:
        return [("approved", f"{approved}\n(word for word as suggested)")]
    marks = {"kept": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    told = "".join(
        f"{' ' * (len(c.text) - len(c.text.lstrip(' ')))}{marks[c.kind].format(c.text.lstrip(' '))}"
        for c in edits.diff(shown["text"], approved)
    )
    return [
        ("suggested", shown["text"]),
        ("approved", approved),
        ("changed", f"{told}\n([-removed-] {{+added+}}, edit distance {d['editDistance']})"),
    ]


def _clocks(sla: dict[str, Any] | None) -> list[str]:
    """One line for each clock; clocks that agree to the minute share one."""
    if not sla:
        return []
    by_reading: dict[str, list[str]] = {}
    for s in sorted(sla["standings"], key=lambda s: s["clock"] != sla["clock"]):
        state = "breached" if s["breached"] else "within"
        reading = f"{s['elapsedS'] // 60} of {sla['targetMinutes']} min, {state}"
        mark = " (in force)" if s["clock"] == sla["clock"] else ""
        by_reading.setdefault(reading, []).append(f"{s['clock'].replace('_', ' ')}{mark}")
    return [f"{reading}, since {'; '.join(names)}" for reading, names in by_reading.items()]


def _ms(microseconds: int | None) -> str:
    return "no time measured" if microseconds is None else f"{microseconds / 1000:.0f} ms"


@app.command()
def export(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, or - for stdout (default: a dated name in artifacts).",
            show_default=False,
        ),
    ] = None,
    shape: Annotated[
        Literal["decisions", "decision-log", "sync-events", "conversations"],
        typer.Option(
            help="Full records, the eight fields of a decision log, what became of each effect, or one row a"
            " conversation with its times."
        ),
    ] = "decisions",
    attempts: Annotated[
        Literal["final", "all"],
        typer.Option(help="sync-events: the final outcome of each effect, or every try."),
    ] = "final",
    texts: Annotated[
        bool, typer.Option("--texts", help="conversations: with what was written, not only when.")
    ] = False,
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Write an export as NDJSON: one object a line, whole or absent.

    Example: cairnops decisions export --shape sync-events --attempts all -o -
    """
    import sys
    import tempfile

    from cairnops.errors import InputError
    from cairnops.evidence import exports
    from cairnops.telemetry.writer import export_name, write_ndjson
    from cairnops.workspace import now

    if attempts == "all" and shape != "sync-events":
        raise InputError("--attempts all is for sync events.", hint="Add --shape sync-events.")
    if texts and shape != "conversations":
        raise InputError("--texts is for conversations.", hint="Add --shape conversations.")
    with opened(workspace) as w:
        if session:
            w.sessions.get(session)
        rows = exports.rows(w.ledger, shape, session=session, attempts=attempts, texts=texts)
        if output is not None and str(output) == "-":
            # Through a file, so that stdout gets the very bytes a file would hold, and all of them or none.
            with tempfile.TemporaryDirectory() as folder:
                written = write_ndjson(Path(folder) / "export.ndjson", rows)
                data = written.path.read_bytes()
            if sys.stdout.isatty():
                render.document(data.decode())
            else:
                sys.stdout.buffer.write(data)
            return
        target = output or w.artifact_folder(session) / export_name(exports.PREFIXES[shape], now())
    written = write_ndjson(target, rows)
    narrate(f"wrote {wording.count(written.records, 'row')}, sha256 {written.sha256}")
    render.raw(f"{render.safe(target)}\n")


def summary(
    file: Annotated[
        Path, typer.Argument(help="An export: NDJSON, a JSON array, gzip, or what was saved as one.")
    ],
    profile: Annotated[
        Literal["dry-run", "parity", "pilot"] | None,
        typer.Option(
            help="Count and judge as this profile says; parity counts as the two legacy tools did.",
            show_default="the workspace's policy",
        ),
    ] = None,
    tool: Annotated[
        Literal["analyze", "alerts"] | None,
        typer.Option(
            help="With --profile parity: only the legacy analyser, or only the legacy alert monitor.",
            show_default="both",
        ),
    ] = None,
    min_samples: Annotated[
        int | None,
        typer.Option(min=1, help="Judge from this many records on.", show_default="the policy's"),
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Summarise an export: totals, failures, durations, retries, hours, and whether that is an alert.

    Exit code 0 fine, 1 alert, 2 not readable, 3 not enough data to say.

    Example: cairnops summary export.ndjson --profile parity
    """
    from cairnops.cli.summary import show_summary

    code = show_summary(file, profile or "", tool or "", min_samples, workspace, as_json)
    if code:
        exits.leave(code)


app.command()(summary)
app.command("inspect")(imports.inspect)
app.command("import")(imports.import_)
app.command("convert")(imports.convert)
