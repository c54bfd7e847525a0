"""What the results page shows of a report: verdicts, charts for the screen, and the rows behind each figure.

Every figure comes from `evidence.report`; here it only gets its words, its colours and its place.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from cairnops.evidence import charts, report_rows
from cairnops.evidence.charts import Chart
from cairnops.evidence.report import Figures
from cairnops.evidence.report_rows import FINE, STAGE_NAMES, VERDICTS, Cell, Links, percent, span
from cairnops.evidence.report_tiles import tiles

#: The name of the selection a chart tells the page about.
PICK = "pick"

_TONES = {"ok": "good", "warn": "warn", "alert": "bad"}
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A verdict: `tone` for its colour, `word` and `why` for who does not see colours."""

    name: str
    tone: str
    word: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure of the overview; `href` finds the rows behind it."""

    label: str
    value: str
    hint: str
    tone: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """Something rows stand behind: a bar, a ring, a tile."""

    label: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart for the screen: the selection `pick` holds the `href` of what was pressed."""

    name: str
    title: str
    note: str
    spec: Mapping[str, Any]
    picks: tuple[Pick, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows as text; `numbers` are the places of columns that are set and sorted as numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()
    #: Places of columns that hold moments.
    moments: tuple[int, ...] = ()
    #: What each cell sorts by where that is not its text, by (row, column).
    sort: Mapping[tuple[int, int], str | float] | None = None

    def records(self) -> list[dict[str, str]]:
        """The rows under their headings, a heading that stands there twice told apart."""
        names: list[str] = []
        for head in self.heads:
            names.append(f"{names[-1]} {head}" if names and head in names else head)
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """The rows behind a figure."""

    title: str
    #: What they were chosen by, in words; empty for all.
    chosen: str
    table: Table
    #: How many rows of that kind there are.
    of: int


def verdicts(f: Figures) -> list[Judged]:
    """How SLA, latency and every file of deliveries stand; what cannot be judged says what is missing."""
    found = [("SLA", f.sla["verdict"]), ("Escalation latency", f.latency["verdict"])]
    found += [
        ("Delivery" if len(f.sync) == 1 else f"Delivery: {s['source']['name']}", s["alert"]) for s in f.sync
    ]
    out = [_judged(name, v["status"], v.get("reasons", ())) for name, v in found]
    if not f.sync:
        out.append(_judged("Delivery", "insufficient-data", ("nothing was delivered yet",)))
    band, totals = f.practice["escalationBand"], f.practice["totals"]
    low, high = band["percent"]
    if band["verdict"] == "insufficient-data":
        why = f"{totals['handled']} of {max(band['minSamples'], 1)} conversations decided on that are needed"
        out.append(_judged("Escalation rate", "insufficient-data", (why,)))
    else:
        why = f"{percent(totals['escalationRate'])} of those decided on, band {low}–{high}%"
        status = "ok" if band["verdict"] == "inside" else "warn"
        out.append(_judged("Escalation rate", status, (why,), word=band["verdict"].capitalize()))
    return out


def _judged(name: str, status: str, reasons: Sequence[str], word: str = "") -> Judged:
    too_little = status == "insufficient-data"
    return Judged(
        name=name,
        tone=_TONES.get(status, "plain"),
        word=word or VERDICTS[status],
        why="; ".join(reasons)
        or ("nothing to measure" if too_little else FINE.get(name, "within its thresholds")),
    )


def overview(f: Figures) -> list[Figure]:
    """The figures on top."""
    return [
        Figure(
            label=t.name,
            value=t.big,
            hint=f"{t.count} {t.of}. {t.note}" if t.of else f"{t.count}. {t.note}",
            tone=_TONES.get(t.status, "plain"),
            href=t.href,
        )
        for t in tiles(f)
    ]


# Charts.


def pictures(f: Figures, colours: Mapping[str, str]) -> dict[str, Picture]:
    """The report's charts by name, with `colours` (by the names of `charts.COLOURS`) in place of a page's."""
    swap = {pair[0]: colours[name] for name, pair in charts.COLOURS.items()}
    return {c.name: _picture(c, swap) for c in f.charts}


def _picture(chart: Chart, swap: Mapping[str, str]) -> Picture:
    spec = {**_for_screen(dict(chart.spec), swap), **_frame(swap)}
    layers = spec.get("layer", [spec])
    pressed = [one for one in layers if "href" in one["encoding"]]
    for one in layers:
        one["encoding"].pop("href", None)
    if pressed:
        # One unit owns the selection; a press on a mark of another unit with the same data counts as well.
        pressed[0]["params"] = [
            {"name": PICK, "select": {"type": "point", "fields": ["href"], "toggle": False}}
        ]
        for row in _rows(spec):
            row["label"] = _label(row)
        pressed[0]["encoding"]["tooltip"] = {"field": "label", "type": "nominal"}
        pressed[0]["encoding"]["opacity"] = {"condition": {"param": PICK, "value": 1}, "value": 0.35}
        for one in pressed:
            mark = one["mark"] if isinstance(one["mark"], dict) else {"type": one["mark"]}
            one["mark"] = {**mark, "cursor": "pointer"}
    return Picture(
        name=chart.name, title=chart.title, note=chart.note, spec=spec, picks=tuple(_picks(chart.spec))
    )


def _frame(swap: Mapping[str, str]) -> dict[str, Any]:
    """What all charts on the screen have in common; fonts and the background are the theme's."""
    muted, ink = (swap[charts.COLOURS[name][0]] for name in ("muted", "ink"))
    axis = {
        "labelColor": muted,
        "titleColor": muted,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 230,
        "labelPadding": 8,
        "gridColor": swap[charts.COLOURS["grid"][0]],
        "domain": False,
        "ticks": False,
    }
    legend = {
        "orient": "top",
        "title": None,
        "columns": 2,
        "labelLimit": 240,
        "labelColor": muted,
        "labelFontSize": 12,
        "symbolType": "square",
    }
    return {
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": {
            "axis": axis,
            "axisY": {"labelColor": ink},
            "legend": legend,
            "text": {"fontSize": 12},
            "mark": {"tooltip": False},
        },
    }


def _for_screen(node: Any, swap: Mapping[str, str]) -> Any:
    """The same specification without fixed widths, in other colours."""
    if isinstance(node, Mapping):
        out = {key: _for_screen(value, swap) for key, value in node.items()}
        if out.get("width") == charts.WIDTH:
            out["width"] = "container"
        if isinstance(out.get("x"), int | float) and out["x"] > charts.WIDTH:
            out["x"] = {"expr": f"width + {out['x'] - charts.WIDTH}"}
        return out
    if isinstance(node, list | tuple):
        return [_for_screen(one, swap) for one in node]
    return swap.get(node, node) if isinstance(node, str) else node


def _picks(spec: Mapping[str, Any]) -> Iterator[Pick]:
    """What can be pressed in a chart, for who has no mouse; a dot for every span is more than a list takes."""
    seen: set[str] = set()
    for row in _rows(spec):
        href = row.get("href", "")
        if href and href not in seen and not href.startswith("#span-"):
            seen.add(href)
            yield Pick(label=_label(row), href=href)


def _rows(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows a chart is drawn from, in every layer."""
    for one in (spec, *spec.get("layer", ())):
        yield from one["data"]["values"] if "data" in one else ()


def _label(row: Mapping[str, Any]) -> str:
    """What a mark stands for: `First response, answered late: 20`."""
    names = ("measure", "stage", "outcome", "rate", "operator", "clock", "state", "kind", "hour")
    words = [row[name] for name in names if isinstance(row.get(name), str) and row[name]]
    if "seconds" in row:
        count = span(row["seconds"])
    elif "value" in row and "said" not in row:
        count = percent(row["value"])
    else:
        count = str(row.get("said") or row.get("count") or "")
    return f"{', '.join(words)}: {count}"


#: What can be followed from one day to the next: key, name, and the count it divides by (none: a plain count).
COURSES = (
    ("editRate", "Suggestions edited", "repliesFromSuggestion"),
    ("escalationRate", "Escalated", "handled"),
    ("accuracy", "Right answers", "answered"),
    ("pointsMean", "Points", "runs"),
    ("decisions", "Decisions", ""),
)


def course(f: Figures, key: str, by: str, colours: Mapping[str, str]) -> Picture | str:
    """How one figure went, a line an operator or a cohort (`by`), a point a day; else why that cannot be said."""
    name, of = next((name, of) for k, name, of in COURSES if k == key)
    rows = [
        {
            "day": r["day"],
            "value": r[key],
            "who": (r["cohort"] or "outside a session") if by == "cohort" else r["operator"] or "(nobody)",
            "operator": r["operator"] or "(nobody)",
            "cohort": r["cohort"] or "outside a session",
            "said": f"{r[of]:,}" if of else f"{r[key]:,}",
        }
        for r in f.practice["overTime"]
        if r[key] is not None and (r[of] if of else r[key])
    ]  # fmt: skip
    days = {r["day"] for r in rows}
    if len(days) < 2:
        return f"Not enough data to say: {len(days)} of 2 days needed to see a course."
    share = key.endswith("Rate") or key == "accuracy"
    axis = {"format": ".0%", "tickCount": 5} if share else {"tickMinStep": 1, "tickCount": 5}
    scale = {"domain": [0, 1]} if share else {"zero": True}
    swap = {pair[0]: colours[name] for name, pair in charts.COLOURS.items()}
    spec = {
        **_frame(swap),
        "width": "container",
        "height": 240,
        "data": {"values": rows},
        "mark": {"type": "line", "point": {"size": 60, "filled": True}, "strokeWidth": 2},
        "encoding": {
            "x": {"field": "day", "type": "ordinal", "title": None, "axis": {"labelAngle": 0, "grid": False}},
            "y": {"field": "value", "type": "quantitative", "title": None, "axis": axis, "scale": scale},
            "color": {"field": "who", "type": "nominal"},
            "detail": [{"field": "operator"}, {"field": "cohort"}],
            "tooltip": [
                {"field": "who", "title": by.capitalize()},
                {"field": "day", "title": "Day (UTC)"},
                {"field": "value", "title": name, **({"format": ".1%"} if share else {})},
                {"field": "said", "title": "Out of" if of else "Count"},
            ],
        },
    }
    note = f"One point a day (UTC), {'operator' if by == 'operator' else 'operator of a cohort'} and session."
    return Picture(name=f"course-{key}-{by}", title=f"{name} over time", note=note, spec=spec, picks=())


# Rows.


def behind(f: Figures, href: str) -> Behind | None:
    """The rows an address such as `#decisions?edited=yes` finds; None when no kind of rows is called so."""
    name, _, query = href.removeprefix("#").partition("?")
    links = Links()
    if name.startswith("span-"):
        name, query = "spans", f"at={name.removeprefix('span-')}"
    made = next((rows for rows in (make(f, links) for make in report_rows.TABLES) if rows.name == name), None)
    if made is None:
        return None
    clauses = [clause.partition("=") for clause in query.split("&") if clause]
    rows = [cells for cells, tokens, anchor in made.rows if _fits(clauses, tokens, anchor)]
    return Behind(
        title=made.title,
        chosen=", ".join(
            f"{_spaced(key)}: {' or '.join(map(_named, value.split('|')))}"
            for key, _, value in clauses
            if key != "at"
        ),
        table=_table(made.heads, rows),
        of=len(made.rows),
    )


def _fits(clauses: Sequence[tuple[str, str, str]], tokens: Mapping[str, object], anchor: str) -> bool:
    have = {key: report_rows.words(value) for key, value in tokens.items()}
    have["at"] = [anchor.removeprefix("span-")]
    return all(set(have.get(key, ())) & set(value.split("|")) for key, _, value in clauses)


def _spaced(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", key).lower()


def _named(word: str) -> str:
    return STAGE_NAMES.get(word) or unquote(word) or "nobody"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    kinds = [{row[place].kind for row in rows} for place in range(len(heads))]
    return Table(
        heads=tuple(heads),
        rows=tuple(tuple(_text(cell) for cell in row) for row in rows),
        numbers=tuple(place for place, kind in enumerate(kinds) if "n" in kind),
        moments=tuple(place for place, kind in enumerate(kinds) if "t" in kind),
        sort={
            (at, place): _sorts(cell.sort)
            for at, row in enumerate(rows)
            for place, cell in enumerate(row)
            if cell.sort is not None
        },
    )


def _text(cell: Cell) -> str:
    """What a browser shows of a cell: its tags are the report's own, text from outside is escaped in it."""
    return html.unescape(_TAG.sub("", cell.html.replace("<br>", " · ")))


def _sorts(value: str) -> str | float:
    try:
        return float(value)
    except ValueError:
        return value


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int] = ()) -> Table:
    """A table of the page's own: rates and counts as they are told."""
    return Table(heads=tuple(heads), rows=tuple(tuple(map(str, row)) for row in rows), numbers=tuple(numbers))


# The tables under the charts.


def sla_groups(f: Figures, by: str) -> Table:
    """Breaches and late answers by operator, day, priority, team or inbox."""
    rows = [
        (
            g[by] or "(none)",
            g["conversations"],
            g["open"],
            f"{g['breachedOpen']} of {g['open']}",
            percent(g["breachRate"]),
            f"{g['firstResponse']['missed'] + g['firstResponse']['overdue']} of {g['firstResponse']['denominator']}",
            g["unreplied"],
        )
        for g in f.sla["breakdowns"][by]
    ]
    heads = (
        by.capitalize(),
        "Conversations",
        "Open",
        "Breached",
        "Rate",
        "First response late",
        "Never answered",
    )
    return table(heads, rows, range(1, 7))


def stages(f: Figures) -> Table:
    """Every stage with its percentiles; `≥` where some still last."""
    rows = []
    for s in f.latency["stages"]:
        if not s["count"]:
            continue
        least = "≥ " if s["open"] else ""
        lengths = [least + span(s["atLeast"][p]) for p in ("p50", "p90", "p99")]
        late = f"{s['missed'] + s['overdue']} of {s['denominator']}" if s["targetS"] else "–"
        rows.append((STAGE_NAMES[s["stage"]], s["count"], s["open"], *lengths, span(s["targetS"]), late))
    return table(
        ("Stage", "Cases", "Still open", "Median", "p90", "p99", "Target", "Late"), rows, range(1, 8)
    )


def practice_groups(f: Figures, by: str) -> Table:
    """The rates of practice by `operator` or `cohort`, each with its denominator."""
    rows = [
        (
            g[by] or ("(nobody)" if by == "operator" else "outside a session"),
            g["decisions"],
            *(f"{g[part]} of {g[of]}" if g[of] else "–" for _, _, part, of in charts.RATES),
            f"{g['right'] + g['acceptable']} of {g['answered']}" if g["answered"] else "–",
            "–" if g["pointsMean"] is None else f"{g['pointsMean']:g}",
        )
        for g in f.practice["byOperator" if by == "operator" else "byCohort"]
    ]
    heads = (by.capitalize(), "Decisions", *(label for _, label, _, _ in charts.RATES), "Right", "Points")
    return table(heads, rows, range(1, 8))


def patterns(f: Figures) -> Table:
    """What people change in suggestions, the most frequent first."""
    rows = [
        (p["decisions"], p["removed"] or "–", p["added"] or "–", ", ".join(f"#{n}" for n in p["examples"]))
        for p in f.practice["editPatterns"]
    ]
    return table(("Decisions", "Taken out", "Put in", "For example"), rows, (0,))


def confusion(f: Figures) -> Table:
    """Each guardrail that was raised against the answers given, and how often it stayed silent at a wrong one."""
    rows = [
        (
            c["code"],
            c["fired"],
            c["firedRight"],
            c["firedWrong"],
            c["silentRight"] + c["silentWrong"],
            c["silentWrong"],
        )
        for c in f.practice["confusion"]
        if c["fired"]
    ]
    heads = ("Guardrail", "Raised", "Raised, right", "Raised, wrong", "Silent", "Silent, wrong")
    return table(heads, rows, range(1, 6))


def sync_tables(s: Mapping[str, Any]) -> tuple[Table, Table, Table]:
    """Outcomes, errors and durations of one file of sync events."""
    d = s["durationsMs"]
    took = [
        (name, f"{d[key]:,} ms")
        for name, key in (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("longest", "max"))
    ]
    return (
        table(("Status", "Events"), [(x["status"], x["count"]) for x in s["statusBreakdown"]], (1,)),
        table(
            ("Code", "Events", "Said"),
            [(x["code"], x["count"], "; ".join(x["sampleMessages"][:2])) for x in s["errors"]["byCode"]],
            (1,),
        ),
        table(("Duration", f"Method {s['measures']['percentile']}"), took if d["count"] else [], (1,)),
    )
