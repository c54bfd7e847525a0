"""What reconciling gives: rows, findings with a code, both sides and what to do, and the verdict."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cairnops.analytics.reconcile_log import Account, Part
from cairnops.telemetry.sheets import Sheet

TOLERANCE_MS = 2000

#: What is found, by code: what it means, and what to do about it. The order is that of a report.
CODES = {
    "unreadable_row": (
        "A row of the worksheet cannot be read.",
        "Mend the row; until then nothing it says is checked.",
    ),
    "missing_in_log": (
        "The worksheet names a decision the log does not have.",
        "Look the id up again where it was copied from; if it is right, the decision was never saved.",
    ),
    "removed_by_retention": (
        "Retention has removed the decision; its number and its hash stay in the log.",
        "Nothing is wrong: what it said is gone by policy. That it was there is shown by cairnops ledger prove.",
    ),
    "missing_in_worksheet": (
        "The log has a decision the worksheet does not name.",
        "Add it to the worksheet, or find out who decided it and why nobody wrote it down.",
    ),
    "unexpected_row": (
        "The worksheet says that nothing was decided, and the log has a decision.",
        "Ask who decided: either the worksheet's row is wrong, or somebody acted who should not have.",
    ),
    "id_reused": (
        "The id belongs to a decision of another session.",
        "Name the session (--session), and put this session's own id into the worksheet.",
    ),
    "id_differs": (
        "No decision has that id; one fits by conversation, people and time.",
        "Correct the id in the worksheet, or say that its ids come from another system.",
    ),
    "duplicate": (
        "One decision stands there twice.",
        "Keep one of the two and say in the worksheet why there were two.",
    ),
    "wrong_scope": (
        "The decision has another scope.",
        "Name a decision of the scope asked for: a suggestion shown (scope build) is no decision of a person.",
    ),
    "conversation_mismatch": (
        "The decision is about another conversation.",
        "Check both: the id or the conversation was copied from the row beside it.",
    ),
    "status_differs": (
        "Worksheet and log say different things about how the delivery ended.",
        "Believe the log; correct the worksheet, and tell the customer if a reply never arrived.",
    ),
    "time_drift": (
        "Worksheet and log are further apart in time than is tolerated.",
        "Write times in UTC, as the log has them; an offset of whole hours is a time zone.",
    ),
    "evidence_missing": (
        "The worksheet points at a file that is not there.",
        "Put the file where the worksheet says, or correct the link.",
    ),
    "evidence_mismatch": (
        "The file is there and does not show what the worksheet says.",
        "Export or capture it again, and look into it before linking it.",
    ),
    "empty_log": (
        "An export holds no rows while another does.",
        "Export it again; nothing was compared with an empty file.",
    ),
    "stale_latest": (
        "The file called latest is older or emptier than another.",
        "Use the newer file, and make the latest one again from it.",
    ),
}  # fmt: skip

#: What is told and is nothing wrong.
HARMLESS = frozenset({"removed_by_retention"})

METHODS = ("uid", "decision-id", "natural-key")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that does not fit, with both sides and what to do."""

    #: A key of `CODES`.
    code: str
    #: The worksheet and its line; empty and 0 for what only the log has.
    sheet: str = ""
    line: int = 0
    #: The decision's number, else its uid; as the worksheet names it when the log has none.
    decision: str = ""
    #: What the worksheet says, and what the log says, each in a few words.
    worksheet: str = ""
    log: str = ""
    #: Which log.
    source: str = ""

    @property
    def meaning(self) -> str:
        """What it is, as a sentence."""
        return CODES[self.code][0]

    @property
    def todo(self) -> str:
        """What to do, as a sentence."""
        return CODES[self.code][1]

    @property
    def order(self) -> tuple[Any, ...]:
        """By kind, then as they stand in the worksheet."""
        kind = list(CODES).index(self.code)
        return (
            kind,
            self.sheet,
            self.line,
            len(self.decision),
            self.decision,
            self.source,
            self.worksheet,
            self.log,
        )


class Match(NamedTuple):
    """What became of one row of a worksheet."""

    sheet: str
    line: int
    #: The id cell as written.
    written: str
    #: `matched`, `missing`, `removed` by retention, or `no decision` where the row says so.
    state: str
    #: One of `METHODS`; empty when nothing was matched.
    method: str = ""
    number: str = ""
    uid: str = ""
    conversation: str = ""
    #: The logs that have it.
    sources: tuple[str, ...] = ()
    #: Worksheet minus log, milliseconds; None when one of them has no time.
    drift_ms: int | None = None


@dataclass(kw_only=True)
class Reconciliation:
    """What reconciling gave."""

    sheets: tuple[Sheet, ...]
    sources: tuple[Account, ...]
    rows: tuple[Match, ...] = ()
    findings: tuple[Finding, ...] = ()
    #: How many findings there are of each code; more than are named where thousands are missing.
    counts: Counter[str] = field(default_factory=Counter)
    #: The part of the log the worksheet answers for; None when nothing says.
    part: Part | None = None
    tolerance_ms: int = TOLERANCE_MS
    #: Signed nearest-rank median of what drifted, milliseconds; None when nothing did.
    drift_median_ms: int | None = None
    #: Why there was nothing to compare; empty when there was.
    nothing: str = ""
    notes: tuple[str, ...] = ()

    @property
    def wrong(self) -> int:
        """How many findings are about something wrong."""
        return sum(count for code, count in self.counts.items() if code not in HARMLESS)

    @property
    def exit_code(self) -> int:
        """0 clean, 1 findings, 3 nothing to compare."""
        return 1 if self.wrong else 3 if self.nothing else 0

    def with_findings(self, more: Iterable[Finding]) -> "Reconciliation":
        """The same with further findings in their place."""
        found = list(more)
        return replace(
            self,
            findings=tuple(sorted([*self.findings, *found], key=lambda f: f.order)),
            counts=self.counts + Counter(f.code for f in found),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON data; keys in camelCase, times in milliseconds."""
        part = self.part
        return {
            "verdict": {0: "clean", 1: "findings", 3: "nothing to compare"}[self.exit_code],
            "nothing": self.nothing,
            "worksheets": [
                {
                    "name": s.name, "kind": s.kind, "sha256": s.sha256, "lines": s.lines, "rows": len(s.rows),
                    "rejects": len(s.rejects), "repairs": dict(s.repairs), "columns": s.columns,
                }
                for s in self.sheets
            ],
            "logs": [
                {
                    "name": a.name, "kind": a.kind, "rows": a.rows, "decisions": a.decisions, "rejects": a.rejects,
                    "other": a.other, "sha256": a.sha256,
                }
                for a in self.sources
            ],
            "part": None
            if part is None
            else {
                "scope": part.scope, "sessions": sorted(part.sessions), "startMs": part.start, "endMs": part.end,
            },
            "toleranceMs": self.tolerance_ms,
            "driftMedianMs": self.drift_median_ms,
            "methods": {m: n for m in METHODS if (n := sum(r.method == m for r in self.rows))},
            "counts": {code: self.counts[code] for code in CODES if self.counts[code]},
            "findings": [
                {
                    "code": f.code, "sheet": f.sheet, "line": f.line or None, "decision": f.decision,
                    "worksheet": f.worksheet, "log": f.log, "source": f.source, "meaning": f.meaning, "todo": f.todo,
                }
                for f in self.findings
            ],
            "rows": [
                {
                    "sheet": r.sheet, "line": r.line, "written": r.written, "state": r.state, "method": r.method,
                    "decisionId": r.number, "uid": r.uid, "conversation": r.conversation, "sources": list(r.sources),
                    "driftMs": r.drift_ms,
                }
                for r in self.rows
            ],
            "notes": list(self.notes),
        }  # fmt: skip


def spell(ms: int) -> str:
    """A signed time difference in words; whole and half hours are named as what they are."""
    seconds, rest = divmod(abs(ms), 1000)
    sign = "+" if ms >= 0 else "-"
    half = -(-(abs(ms) - 2000) // 1_800_000) * 1_800_000
    if half >= 1_800_000 and abs(abs(ms) - half) <= 2000 and half <= 14 * 3_600_000:
        hours = half / 3_600_000
        return f"{sign}{hours:g} h: a time zone"
    if seconds < 120:
        return f"{sign}{seconds}.{rest:03d} s"
    if seconds < 7200:
        return f"{sign}{seconds // 60} min {seconds % 60} s"
    return f"{sign}{seconds // 3600} h {seconds % 3600 // 60} min"


def stamp(ms: int) -> str:
    """A moment as exports write it; beyond what a calendar has, the number."""
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    except OverflowError:
        return f"{ms} ms"
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
