"""What goes into which team's feedback file after a session, each line with the row that proves it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cairnops.evidence import inert
from cairnops.evidence.worksheet import Row

#: The files, and what is looked for in each.
FILES = {
    "ai": "Retries, fallbacks, and what people did with suggestions",
    "enablement": "Escalations, open questions, and what was rewritten",
    "support": "Promises to customers: who answers for each, and until when",
    "qa": "What did not come out as expected, and what was refused",
    "reliability": "Deliveries that failed or were tried again, and probes that did not say ok",
}

_ENTRY = re.compile(r"- (\S+) · (?:decision (\d+)|no decision) · (\S+) · (.*)")
_PROOF = re.compile(r"  evidence (\S+) (line|row) (\d+)(?: · look again: .*)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """A session's rows as they stand in the bundle, and the paths of the files they stand in."""

    session: str
    decisions: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    worksheet: Sequence[Row]
    results: Sequence[Mapping[str, Any]]
    paths: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of a feedback file; `line` counts from 1, and is the `#` of a worksheet row."""

    file: str
    at: str
    #: 0 when nothing was decided.
    decision: int
    #: With its system in front; `-` when it is about none.
    conversation: str
    text: str
    path: str
    unit: str
    line: int


def snippets(facts: Facts) -> dict[str, str]:
    """Every feedback file as Markdown, by its name; one in which nothing is to be told says so."""
    found = sorted(_entries(facts), key=lambda e: (e.file, e.at, e.path, e.line))
    out = {}
    for name, about in FILES.items():
        mine = [e for e in found if e.file == name]
        head = f"# {name}: session {inert.markdown_cell(facts.session)}\n\n{about}.\n\n"
        out[name] = head + ("".join(_markdown(e) for e in mine) or "Nothing to report.\n")
    return out


def read(name: str, text: str) -> tuple[list[Entry], list[int]]:
    """The entries of a feedback file, and the numbers of lines that should be entries and are not."""
    entries: list[Entry] = []
    bad: list[int] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not line.startswith(("- ", "* ")):
            continue
        head = _ENTRY.fullmatch(line)
        proof = _PROOF.fullmatch(lines[number + 1]) if number + 1 < len(lines) else None
        if head is None or proof is None or len(proof[3]) > 12 or len(head[2] or "") > 18:
            bad.append(number + 1)
            continue
        entries.append(
            Entry(
                file=name,
                at=head[1],
                decision=int(head[2] or 0),
                conversation=head[3],
                text=head[4],
                path=proof[1],
                unit=proof[2],
                line=int(proof[3]),
            )
        )
    return entries, bad


def _markdown(entry: Entry) -> str:
    decided = f"decision {entry.decision}" if entry.decision else "no decision"
    again = f" · look again: cairnops decisions show {entry.decision}" if entry.decision else ""
    return (
        f"- {entry.at} · {decided} · {entry.conversation} · {inert.markdown_cell(entry.text)}\n"
        f"  evidence {entry.path} {entry.unit} {entry.line}{again}\n"
    )


def _entries(facts: Facts) -> Iterator[Entry]:
    yield from _from_decisions(facts)
    yield from _from_deliveries(facts)
    yield from _from_events(facts)
    yield from _from_worksheet(facts)
    yield from _from_results(facts)


def _from_decisions(facts: Facts) -> Iterator[Entry]:
    path = facts.paths["decisions"]
    for line, d in enumerate(facts.decisions, 1):
        if d["scope"] != "ops":
            continue

        def tell(file: str, text: str, d: Mapping[str, Any] = d, line: int = line) -> Entry:
            return _entry(file, d["createdAt"], d["conversation"], text, path, line, decision=d["decisionId"])

        if d["action"].endswith("escalate"):
            reason = f" ({d['reason']})" if d["reason"] else ""
            text = f"escalated to {d['target'] or 'nobody named'}{reason} by {d['actor']['email']}"
            yield tell("enablement", _with(text, d["note"], _promise(d["followUp"])))
        if d["fallback"]:
            yield tell("ai", f"manual reply, {d['fallback']}")
        shown = d["suggestion"] or {}
        if shown.get("source") == "template" and d["finalText"]:
            yield tell("ai", f"template {shown['templateId']} in the place of an AI suggestion")
        if d["edited"]:
            text = f"{shown.get('templateId') or 'reply'} rewritten, {d['editDistance']} characters"
            yield tell("ai", text)
            yield tell("enablement", text)
        if d["override"]:
            codes = ", ".join(v["code"] for v in d["verdicts"] if v.get("overridden")) or "a block"
            yield tell("qa", f"went ahead against {codes}: {d['override']}")
        if d["followUp"]:
            yield tell("support", _with(_promise(d["followUp"]), d["followUp"]["text"]))


def _from_deliveries(facts: Facts) -> Iterator[Entry]:
    refs = {d["decisionId"]: d["conversation"] for d in facts.decisions}
    for line, row in enumerate(facts.deliveries, 1):
        if row["status"] == "SUCCESS" and row["attempt"] <= 1:
            continue
        code = f", {row['errorCode']}" if row["errorCode"] else ""
        text = f"{row['effect']}: {row['status']} at attempt {row['attempt']}{code}"
        number = row["decisionId"] or 0
        for file in ("ai", "reliability"):
            yield _entry(
                file,
                row["timestamp"],
                refs.get(number, "-"),
                text,
                facts.paths["sync-events"],
                line,
                decision=number,
            )


def _from_events(facts: Facts) -> Iterator[Entry]:
    for line, event in enumerate(facts.events, 1):
        kind, body = event["kind"], event["body"]
        where = f"chatwoot:{event['conversation']}" if event["conversation"] else "-"

        def tell(
            file: str, text: str, event: Mapping[str, Any] = event, where: str = where, line: int = line
        ) -> Entry:
            return _entry(file, event["at"], where, text, facts.paths["events"], line)

        if kind == "action.refused":
            yield tell("qa", f"{event['actor']} was refused: {event['code']}")
        elif kind == "suggestion.withheld":
            yield tell("ai", "a suggestion was withheld; the operator had to write")
        elif kind == "suggestion.shown" and body.get("source") == "template":
            yield tell(
                "ai", f"AI unavailable: the template {body.get('template') or 'without a name'} was shown"
            )
        elif kind == "gate.probed" and body.get("status") != "ok":
            yield tell(
                "reliability", f"probe {body.get('probe')}: {body.get('status')}, {body.get('detail')}"
            )
        elif kind == "follow_up.set":
            yield tell("support", _promise(body.get("followUp") or body) or "a follow-up was set")


def _from_worksheet(facts: Facts) -> Iterator[Entry]:
    """Rows written by hand are what nobody could press a button for: escalations by word of mouth, questions."""
    for number, row in enumerate(facts.worksheet, 1):
        if row.decision.isdecimal():
            continue
        text = _with(row.outcome, f"promised: {row.follow_up}" if row.follow_up else "")
        yield _entry(
            "enablement",
            row.at,
            row.conversation or "-",
            f"{row.participant}: {text}",
            facts.paths["worksheet"],
            number,
            unit="row",
        )


def _from_results(facts: Facts) -> Iterator[Entry]:
    for line, run in enumerate(facts.results, 1):
        if run["passed"]:
            continue
        missed = [c["code"] for c in run["score"]["checks"] if c["gating"] and not c["ok"]]
        text = (
            f"{run['scenario']} by {run['operator']} not as expected: {', '.join(missed) or 'too few points'}"
        )
        yield _entry(
            "qa", run["at"], f"chatwoot:{run['conversation']}", text, facts.paths["results"], line, unit="row"
        )


def _entry(
    file: str,
    at: str,
    conversation: str,
    text: str,
    path: str,
    line: int,
    *,
    decision: int = 0,
    unit: str = "line",
) -> Entry:
    return Entry(
        file=file,
        at=at,
        decision=decision,
        conversation=re.sub(r"\s+", "-", inert.one_line(conversation)) or "-",
        text=text,
        path=path,
        unit=unit,
        line=line,
    )


def _promise(follow_up: Mapping[str, Any] | None) -> str:
    if not follow_up or not follow_up.get("owner"):
        return ""
    return f"{follow_up['owner']} by {follow_up['due']}"


def _with(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
