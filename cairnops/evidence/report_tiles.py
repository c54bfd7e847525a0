"""Which figures a report puts on top, each with its count, its denominator, and where the rows behind it are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairnops.evidence import charts
from cairnops.evidence.report_rows import percent, span

if TYPE_CHECKING:
    from cairnops.evidence.report import Figures


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One figure: `big` in large type, `part` of `whole` beside it."""

    name: str
    big: str
    #: What it counts, as `9 of 12`; and what that is (`decided waits`).
    count: str
    of: str
    #: The anchor of the rows behind it.
    href: str
    note: str
    #: How many rows the anchor selects; None where rows and figure are counted apart.
    rows: int | None
    #: A verdict's status; empty where nothing is judged.
    status: str = ""


def tiles(f: "Figures") -> Iterator[Tile]:
    """The figures that can be given, in the order of the page; one without a denominator is left out."""
    yield from _sla(f)
    yield from _practice(f)
    for s in f.sync[:1]:
        totals, limits = s["totals"], s["alert"]["thresholds"]
        known = totals["failureDenominator"] == "known"
        yield _share(
            "Deliveries failed",
            totals["failureRate"],
            totals["failure"],
            totals["success"] + totals["failure"] if known else totals["records"],
            f"{totals['failureDenominator']} outcomes",
            "#deliveries?class=failure",
            f"Warning above {percent(limits['failureRateWarn'])}, alert above"
            f" {percent(limits['failureRateAlert'])}.",
            s["alert"]["status"],
            exact=False,
        )


def _sla(f: "Figures") -> Iterator[Tile]:
    t, v = f.sla["totals"], f.sla["verdict"]
    first, limits = t["firstResponse"], v["thresholds"]
    waits = f.sla["waitsSeconds"]["firstResponse"]
    if t["conversations"]:
        yield _share(
            "Breached, of open conversations",
            t["breachRate"],
            t["breachedOpen"],
            t["open"],
            "breached",
            "#conversations?breached=yes&open=yes",
            f"Clock in force. Warning above {percent(limits['warnAbove'])}, critical above"
            f" {percent(limits['criticalAbove'])}.",
            v["status"],
        )
        yield _share(
            "First response late",
            first["missedRate"],
            first["missed"] + first["overdue"],
            first["denominator"],
            "decided waits",
            "#conversations?firstResponse=missed|overdue",
            f"Target {span(f.sla['targetsMinutes']['firstResponse'] * 60)}; unanswered ones count once late.",
        )
    if waits["count"]:
        yield Tile(
            name="Median first response",
            big=("≥ " if waits["open"] else "") + span(waits["atLeast"]["p50"]),
            count=f"{waits['count']} waits",
            of="",
            href="#conversations?asked=yes",
            note=f"Method {waits['method']}; {waits['open']} still open, at their age so far.",
            rows=waits["count"],
        )


def _practice(f: "Figures") -> Iterator[Tile]:
    p = f.practice["totals"]
    if p["handled"]:
        band = f.practice["escalationBand"]
        low, high = band["percent"]
        too_few = band["verdict"] == "insufficient-data"
        yield _share(
            "Escalated",
            p["escalationRate"],
            p["escalated"],
            p["handled"],
            "conversations decided on",
            charts.HREFS["escalationRate"],
            f"Band {low}–{high}%: {'not enough cases to judge' if too_few else band['verdict']}.",
        )
    if p["repliesFromSuggestion"]:
        yield _share(
            "Suggestions edited",
            p["editRate"],
            p["edited"],
            p["repliesFromSuggestion"],
            "replies from a suggestion",
            charts.HREFS["editRate"],
            f"{p['rewritten']} of them written anew.",
        )
    if p["openings"]:
        yield _share(
            "Nothing suggested",
            p["abstainRate"],
            p["abstained"],
            p["openings"],
            "openings of a case",
            charts.HREFS["abstainRate"],
            f"{p['shownAi']} shown by the AI, {p['shownTemplate']} from a template.",
        )
    if p["answered"]:
        yield _share(
            "Right or acceptable answers",
            p["accuracy"],
            p["right"] + p["acceptable"],
            p["answered"],
            "scenarios",
            "#runs?answer=right|acceptable",
            "Scenarios with an answer key.",
        )


def _share(
    name: str, rate: float | None, part: int, whole: int, of: str, href: str, note: str, status: str = "",
    *, exact: bool = True,
) -> Tile:  # fmt: skip
    return Tile(
        name=name,
        big=percent(rate),
        count=f"{part:,} of {whole:,}",
        of=of,
        href=href,
        note=note,
        rows=part if exact else None,
        status=status,
    )
