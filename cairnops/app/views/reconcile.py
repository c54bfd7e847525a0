"""What holding a worksheet against the log came to, as the decisions page shows it."""

from collections import Counter
from dataclasses import dataclass

from cairnops.analytics.reconcile_result import HARMLESS, Reconciliation, spell
from cairnops.app.views import words

#: Rows of either table on the page; the download has all findings.
SHOWN = 200

_MET_BY = {"uid": "uid", "decision-id": "id", "natural-key": "who, what, when", "": ""}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One finding with both sides and what to do."""

    code: str
    where: str
    decision: str
    worksheet: str
    log: str
    meaning: str
    todo: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What became of one row of the worksheet."""

    line: int
    written: str
    state: str
    tone: str
    met_by: str
    number: str
    conversation: str
    drift: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciled:
    """The verdict, the findings by kind, and every row."""

    word: str
    tone: str
    said: str
    read: str
    findings: tuple[Found, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]


def reconciled(result: Reconciliation) -> Reconciled:
    """A reconciliation in words; nothing to compare is no agreement."""
    word, tone = {0: ("Agrees", "good"), 1: ("Findings", "bad"), 3: ("Nothing to compare", "warn")}[
        result.exit_code
    ]
    states = Counter(row.state for row in result.rows)
    bad = {f.line for f in result.findings if f.line and f.code not in HARMLESS}
    return Reconciled(
        word=word,
        tone=tone,
        said=result.nothing
        or (
            f"{words.count(len(result.rows), 'row')}: {', '.join(f'{n:,} {s}' for s, n in states.items()) or 'none'}; "
            f"{words.count(result.wrong, 'finding')}; times within {result.tolerance_ms / 1000:g} s."
        ),
        read="; ".join(
            f"{words.count(len(s.rows), 'claim')} in {words.count(s.lines, 'line')} of {s.kind}"
            + (f", {len(s.rejects)} not readable" if s.rejects else "")
            for s in result.sheets
        ),
        findings=tuple(
            Found(
                code=f.code,
                where=str(f.line) if f.line else "",
                decision=f.decision,
                worksheet=f.worksheet,
                log=f.log,
                meaning=f.meaning,
                todo=f.todo,
            )
            for f in result.findings
        ),
        claims=tuple(
            Claim(
                line=r.line,
                written=r.written,
                state=f"{r.state}, differs" if r.line in bad and r.state == "matched" else r.state,
                tone="bad"
                if r.line in bad or r.state == "missing"
                else "good"
                if r.state == "matched"
                else "plain",
                met_by=_MET_BY.get(r.method, r.method),
                number=r.number or r.uid,
                conversation=r.conversation,
                drift=spell(r.drift_ms) if r.drift_ms else "",
            )
            for r in result.rows
        ),
        notes=tuple(result.notes),
    )
