"""`decisions`: what was decided, delivered and exported, and the figures over any export."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cairnops.cli import render
from cairnops.cli.common import JsonOption, SessionOption, WorkspaceOption, narrate, opened

app = typer.Typer(help="Decisions and their deliveries: list, show, export, summarise.", no_args_is_help=True)


@app.command("list")
def list_decisions(
    session: SessionOption = "",
    conversation: Annotated[str, typer.Option(help="Only this conversation (1045 or chatwoot:1045).")] = "",
    actor: Annotated[str, typer.Option(help="Only this person's.")] = "",
    scope: Annotated[
        str, typer.Option(help="ops (what people decided), build (what AI suggested), or all.")
    ] = "ops",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List decisions, newest last, with how each was delivered.

    Example: cairnops decisions list --session cx-escalations
    """
    from cairnops.errors import InputError

    if scope not in ("ops", "build", "all"):
        raise InputError(f"There is no scope {scope!r}.", hint="Scopes: ops, build, all.")
    with opened(workspace) as w:
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
    render.emit(
        rows,
        as_json,
        lambda: render.table(
            ("Id", "When (UTC)", "Action", "Conversation", "By and delivery"),
            [
                (
                    r["decisionId"],
                    r["createdAt"][:16].replace("T", " "),
                    r["action"].removeprefix("chatwoot."),
                    r["conversation"].removeprefix("chatwoot:"),
                    "\n".join([r["actor"], *r["delivery"]]),
                )
                for r in rows
            ],
            wrap=("By and delivery",),
        ),
    )


def _delivered(workspace: Any, session: str) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for effect in workspace.ledger.deliveries(session=session):
        final = effect["final"]
        text = f"{final['status']} ({final['attempt']})" if final else "not yet sent"
        out.setdefault(effect["decision"], []).append(f"{effect['kind']} {text}")
    return out


@app.command()
def show(
    decision: Annotated[str, typer.Argument(help="A decision id (104) or uid.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one decision whole: suggestion against what was sent, verdicts, both SLA clocks, every attempt.

    Example: cairnops decisions show 102
    """
    from cairnops.domain import edits
    from cairnops.errors import NotFound

    with opened(workspace) as w:
        wanted = {"number": int(decision)} if decision.isdecimal() else {"uid": decision}
        found = w.ledger.decisions(**wanted)  # type: ignore[arg-type]
        if not found:
            raise NotFound(f"There is no decision {decision}.", hint="cairnops decisions list --scope all")
        record = found[0]
        effects = w.ledger.deliveries(decision=record["uid"])
    data = {**record, "deliveries": effects}

    def tell() -> None:
        d = record
        sent, shown = d["finalText"], d["suggestion"]
        changes = [
            f"{'-' if c.kind.value == 'removed' else '+'} {c.text}"
            for c in (edits.diff(shown["text"], sent) if sent and shown and d["edited"] else ())
            if c.kind.value != "kept"
        ]
        override = f"against the block, because: {d['override']}" if d["override"] else ""
        pairs = [
            ("decision", f"{d['decisionId']} ({d['uid']}, scope {d['scope']})"),
            ("action", d["action"]),
            ("by", f"{d['actor']['email']} ({d['actor']['role']})"),
            ("when", d["createdAt"]),
            ("conversation", f"{d['conversation']} · shop {d['shopDomain']}"),
            ("session", d["session"]),
            ("rationale", d["rationale"]),
            ("reason", d["reason"]),
            ("note", d["note"]),
            ("override", override),
            ("suggested", f"[{shown['source']} {shown['templateId']}] {shown['text']}" if shown else ""),
            ("sent", sent or ""),
            ("changed", "\n".join(changes) + f"\n(edit distance {d['editDistance']})" if changes else ""),
            ("fallback", d["fallback"]),
            ("follow-up", f"{d['followUp']['owner']} by {d['followUp']['due']}" if d["followUp"] else ""),
        ]
        for standing in (d["sla"] or {}).get("standings", ()):
            mark = "in force" if standing["clock"] == d["sla"]["clock"] else "beside it"
            state = "breached" if standing["breached"] else "within"
            name = standing["clock"].replace("_", " ")
            pairs.append(
                (
                    "SLA",
                    f"{standing['elapsedS'] // 60} of {d['sla']['targetMinutes']} min since {name}: {state} ({mark})",
                )
            )
        pairs += [("verdict", f"{v['severity']} {v['code']}: {v['sentence']}") for v in d["verdicts"]]
        for effect in effects:
            tries = ", ".join(f"{a['attempt']}: {a['error_code'] or a['answer']}" for a in effect["attempts"])
            final = effect["final"]
            pairs.append(
                (
                    effect["kind"],
                    f"{final['status'] if final else 'not yet sent'} (attempts {tries or 'none'})",
                )
            )
        pairs += [("policy", f"{d['policyProfile']} {d['policyHash'][:16]}"), ("leaf hash", d["leafHash"])]
        render.lines([(k, v) for k, v in pairs if v])

    render.emit(data, as_json, tell)


@app.command()
def export(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write, or - for stdout (default: a dated name in artifacts)."
        ),
    ] = None,
    shape: Annotated[str, typer.Option(help="decisions, decision-log, or sync-events.")] = "decisions",
    attempts: Annotated[
        str, typer.Option(help="sync-events: the final outcome of each effect, or all tries.")
    ] = "final",
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Write an export as NDJSON: one object a line, whole or absent.

    Example: cairnops decisions export --shape sync-events --attempts all -o -
    """
    import json

    from cairnops.errors import InputError
    from cairnops.evidence import exports
    from cairnops.telemetry.writer import export_name, write_ndjson
    from cairnops.workspace import now

    if shape not in exports.SHAPES:
        raise InputError(f"There is no shape {shape!r}.", hint=f"Shapes: {', '.join(exports.SHAPES)}.")
    if attempts not in ("final", "all"):
        raise InputError(f"--attempts is final or all, not {attempts!r}.")
    with opened(workspace) as w:
        if session:
            w.sessions.get(session)
        rows = exports.rows(w.ledger, shape, session=session, attempts=attempts)  # type: ignore[arg-type]
        if output is not None and str(output) == "-":
            for row in rows:
                print(json.dumps(row, ensure_ascii=False))
            return
        target = output or w.artifact_folder(session) / export_name(exports.PREFIXES[shape], now())
    written = write_ndjson(target, rows)
    narrate(f"{written.records} rows, sha256 {written.sha256}")
    print(target)


def summary(
    file: Annotated[
        Path, typer.Argument(help="An export: NDJSON, a JSON array, gzip, or what was saved as one.")
    ],
    profile: Annotated[
        str,
        typer.Option(
            help="Count as this profile says (parity: as the legacy tools do).",
            show_default="the workspace's",
        ),
    ] = "",
    tool: Annotated[
        str, typer.Option(help="With --profile parity: which legacy tool, analyze or alerts.")
    ] = "analyze",
    min_samples: Annotated[
        int | None, typer.Option(min=1, help="Judge from this many records on (overrides the policy).")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Summarise an export: totals, failures, durations, retries, hours, and whether that is an alert.

    Exit code 0 fine, 1 alert, 2 not readable, 3 not enough data to say.

    Example: cairnops decisions summary export.ndjson --profile parity --tool alerts
    """
    from cairnops.cli.summary import show_summary

    show_summary(file, profile, tool, min_samples, workspace, as_json)


app.command()(summary)
