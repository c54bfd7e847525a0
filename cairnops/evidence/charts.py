"""What a report draws: a handful of charts, from figures already measured, drawn without a network.

Charts are Vega-Lite specifications; drawing them takes the `charts` extra. Colours are those of the light
page, and each is one of `COLOURS`, so that a page can put its dark ones in their place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cairnops import codec
from cairnops.errors import InputError

VEGA_LITE = "6.4"

#: Colours by what they mean: on a light page, and on a dark one.
COLOURS = {
    "ink": ("#1b2430", "#e8edf3"),
    "muted": ("#5d6979", "#9aa7b6"),
    "grid": ("#e3e7ed", "#2a3441"),
    "good": ("#23857a", "#4cc2ae"),
    "wait": ("#a8b6c4", "#5d7083"),
    "late": ("#c2781f", "#f2b861"),
    "bad": ("#c4433a", "#f27d72"),
    "accent": ("#3a58c9", "#8fa6ff"),
    "band": ("#dfe6fb", "#2b3a6b"),
    "on": ("#ffffff", "#0f151c"),
}
_LIGHT = {name: pair[0] for name, pair in COLOURS.items()}

_FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
_CONFIG = {
    "font": _FONT,
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _LIGHT["muted"],
        "titleColor": _LIGHT["muted"],
        "gridColor": _LIGHT["grid"],
        "domain": False,
        "ticks": False,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelPadding": 8,
        "titlePadding": 10,
        "labelLimit": 220,
    },
    "legend": {
        "labelColor": _LIGHT["muted"],
        "labelFontSize": 12,
        "orient": "top",
        "title": None,
        "symbolType": "square",
        "offset": 10,
    },
    "title": {
        "color": _LIGHT["ink"],
        "subtitleColor": _LIGHT["muted"],
        "fontSize": 17,
        "subtitleFontSize": 12,
        "anchor": "start",
        "offset": 14,
    },
    "text": {"fontSize": 12},
}  # fmt: skip

#: How the four outcomes of a wait are called and coloured, in the order they are stacked.
OUTCOMES = (
    ("met", "good", "met"),
    ("waiting", "wait", "waiting, still in time"),
    ("missed", "late", "answered late"),
    ("overdue", "bad", "still open, overdue"),
)
_MEASURES = (
    ("firstResponse", "First response"),
    ("nextResponse", "Next response"),
    ("resolution", "Resolution"),
)
_CLOCKS = {
    "conversation_created": "since it began",
    "last_customer_message": "since the last message",
    "first_unanswered_customer_message": "since the first unanswered",
}
_STAGES = {
    "breachToDecision": "Breach → decision",
    "decisionToDelivered": "Decision → delivered",
    "escalateToAcknowledged": "Escalated → acknowledged",
    "escalateToUpdated": "Escalated → customer updated",
    "handling": "Opened → decided",
    "pickup": "Picked up → acted on",
}
#: Rates of practice: key, name, the counts it is made of.
RATES = (
    ("editRate", "Edited", "edited", "repliesFromSuggestion"),
    ("abstainRate", "Nothing suggested", "abstained", "openings"),
    ("overrideRate", "Block overridden", "overrides", "blocksMet"),
    ("escalationRate", "Escalated", "escalated", "handled"),
)
#: How wide a chart is drawn, in points.
WIDTH = 800
#: Beyond this many spans a dot each is a blot, and only the percentiles are drawn.
DOTS = 1500


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Chart:
    """One chart: `name` is stable and names its file, `note` says what it counts and by which method."""

    name: str
    title: str
    note: str
    spec: Mapping[str, Any]

    def svg(self, *, titled: bool = True) -> str:
        """The chart as SVG, the same text wherever it is drawn; links in it are anchors of the report.

        Raises:
            InputError: when the `charts` extra is not installed.
        """
        return _settled(self._drawn(self._full(titled)))

    def png(self, *, scale: float = 2.0) -> bytes:
        """The chart as a picture on white, `scale` pixels to the point.

        Raises:
            InputError: as `svg`.
        """
        spec = {**self._full(True), "background": "#ffffff", "padding": 20}
        return _renderer().vegalite_to_png(spec, vl_version=VEGA_LITE, scale=scale, allowed_base_urls=[])

    def __repr__(self) -> str:
        return f"<Chart {self.name}: {self.title}>"

    def _repr_svg_(self) -> str:
        # On paper of its own: a notebook's page may be dark.
        return _settled(self._drawn({**self._full(True), "background": "#ffffff", "padding": 16}))

    def _drawn(self, spec: Mapping[str, Any]) -> str:
        return _renderer().vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[])

    def _full(self, titled: bool) -> dict[str, Any]:
        title = {"title": {"text": self.title, "subtitle": _folded(self.note)}} if titled else {}
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "config": _CONFIG,
            "padding": 4,
            **title,
            **self.spec,
        }


def available() -> bool:
    """Whether the `charts` extra is installed."""
    from importlib.util import find_spec

    return find_spec("vl_convert") is not None


def required() -> None:
    """Say so before anything is measured when charts cannot be drawn.

    Raises:
        InputError: when the `charts` extra is not installed.
    """
    if not available():
        raise InputError("Drawing charts needs the charts extra.", hint="pip install 'cairnops[charts]'")


def inline(svg: str, prefix: str) -> str:
    """An SVG that can stand in a page with others: its ids are its own, and it grows and shrinks with the page."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    return re.sub(
        r'(<svg[^>]*?) width="([\d.]+)" height="[\d.]+"', r'\1 style="max-width:\2px"', svg, count=1
    )


def of_sla(sla: Mapping[str, Any]) -> list[Chart]:
    """Outcomes of every measure, the breach rate by operator, and the clocks, from `SlaReport.to_dict()`."""
    totals, thresholds = sla["totals"], sla["verdict"]["thresholds"]
    if not totals["conversations"]:
        return []
    out = [_outcomes(totals, sla["targetsMinutes"])]
    operators = [g for g in sla["breakdowns"]["operator"] if g["open"]]
    if operators:
        out.append(_breaches(operators, thresholds))
    if totals["open"]:
        out.append(_clocks(sla["clocks"], thresholds))
    return out


def _outcomes(totals: Mapping[str, Any], targets: Mapping[str, int]) -> Chart:
    rows = [
        {
            "measure": label,
            "outcome": words,
            "count": totals[name][key],
            "place": place,
            "href": f"#conversations?{name}={key}" if name != "nextResponse" else "#conversations?next=yes",
        }
        for name, label in _MEASURES
        for place, (key, _, words) in enumerate(OUTCOMES)
        if totals[name][key]
    ]
    y = {"field": "measure", "type": "nominal", "sort": [m for _, m in _MEASURES], "title": None}
    stacked = {"field": "count", "type": "quantitative", "stack": "zero", "title": "waits"}
    order = {"field": "place", "type": "ordinal"}
    return Chart(
        name="sla-outcomes",
        title="How customers’ waits ended",
        note=f"Targets: first response {_long(targets['firstResponse'])}, next response"
        f" {_long(targets['nextResponse'])}, resolution {_long(targets['resolution'])}.",
        spec={
            "width": WIDTH,
            "height": {"step": 48},
            "data": {"values": rows},
            "encoding": {"y": {**y, "axis": {"labelFontSize": 13, "labelColor": _LIGHT["ink"]}}},
            "layer": [
                {
                    "mark": {"type": "bar", "height": 28, "cornerRadius": 2, "stroke": None},
                    "encoding": {
                        "x": {**stacked, "axis": {"tickMinStep": 1, "tickCount": 8, "format": "d"}},
                        "order": order,
                        "color": _scale([(words, colour) for _, colour, words in OUTCOMES]),
                        "href": {"field": "href"},
                    },
                },
                {
                    "mark": {"type": "text", "fontWeight": "bold", "color": _LIGHT["on"]},
                    "encoding": {
                        "x": {**stacked, "bandPosition": 0.5},
                        "order": order,
                        "detail": {"field": "outcome"},
                        "text": {"field": "count"},
                        "href": {"field": "href"},
                    },
                },
            ],
        },
    )


def _breaches(groups: Sequence[Mapping[str, Any]], thresholds: Mapping[str, Any]) -> Chart:
    rows = [
        {
            "operator": g["operator"] or "(nobody yet)",
            "rate": g["breachRate"],
            "said": f"{g['breachedOpen']} of {g['open']}",
            "level": _level(g["breachRate"], thresholds),
            "href": "#conversations?breached=yes&open=yes&operator=" + token(g["operator"]),
        }
        for g in sorted(groups, key=lambda g: (-g["breachRate"], -g["open"], g["operator"]))[:20]
    ]
    return Chart(
        name="sla-breaches-by-operator",
        title="Breached, of the open conversations of each operator",
        note=f"Clock in force. Warning above {_percent(thresholds['warnAbove'])}, critical above"
        f" {_percent(thresholds['criticalAbove'])}; {_many(len(groups), 'operator')} with open conversations.",
        spec=_rate_bars(rows, "operator", thresholds),
    )


def _clocks(clocks: Sequence[Mapping[str, Any]], thresholds: Mapping[str, Any]) -> Chart:
    rows = [
        {
            "clock": _CLOCKS.get(c["clock"], c["clock"]) + (" (in force)" if c["inForce"] else ""),
            "rate": c["rateOfOpen"],
            "said": f"{c['breachedOpen']} of {c['open']}",
            "level": _level(c["rateOfOpen"], thresholds),
            "href": f"#conversations?open=yes&{c['clock']}=yes",
        }
        for c in clocks
    ]
    return Chart(
        name="sla-clocks",
        title="The same open conversations under every clock",
        note="Breached of open and pending, each clock from its own start.",
        spec=_rate_bars(rows, "clock", thresholds),
    )


def _rate_bars(rows: list[dict[str, Any]], field: str, thresholds: Mapping[str, Any]) -> dict[str, Any]:
    x = {"field": "rate", "type": "quantitative", "scale": {"domain": [0, 1]}, "title": None}
    lines = [
        {"at": thresholds["warnAbove"], "word": "warning", "level": "warn"},
        {"at": thresholds["criticalAbove"], "word": "critical", "level": "critical"},
    ]
    return {
        "width": WIDTH,
        "height": {"step": 40},
        "data": {"values": rows},
        "encoding": {
            "y": {"field": field, "type": "nominal", "sort": [r[field] for r in rows], "title": None,
                  "axis": {"labelColor": _LIGHT["ink"]}},
        },
        "layer": [
            {
                "mark": {"type": "bar", "height": 20, "cornerRadius": 2},
                "encoding": {
                    "x": {**x, "axis": {"format": ".0%", "tickCount": 5}},
                    "color": {**_scale([("ok", "good"), ("warn", "late"), ("critical", "bad")], "level"),
                              "legend": None},
                    "href": {"field": "href"},
                },
            },
            {
                "mark": {"type": "rule", "strokeDash": [4, 3], "color": _LIGHT["muted"]},
                "data": {"values": lines},
                "encoding": {"x": {"field": "at", "type": "quantitative"}, "y": None},
            },
            {
                "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 3, "y": -2, "fontSize": 11,
                         "color": _LIGHT["muted"]},
                "data": {"values": lines},
                "encoding": {"x": {"field": "at", "type": "quantitative"}, "y": None,
                             "text": {"field": "word"}},
            },
            {
                "transform": [{"filter": "datum.rate > 0.86"}],
                "mark": {"type": "text", "align": "right", "dx": -8, "color": _LIGHT["on"], "fontWeight": "bold"},
                "encoding": {"x": x, "text": {"field": "said"}, "href": {"field": "href"}},
            },
            {
                "transform": [{"filter": "datum.rate <= 0.86"}],
                "mark": {"type": "text", "align": "left", "dx": 7, "color": _LIGHT["ink"], "fontWeight": "bold"},
                "encoding": {"x": x, "text": {"field": "said"}, "href": {"field": "href"}},
            },
        ],
    }  # fmt: skip


def of_latency(latency: Mapping[str, Any]) -> list[Chart]:
    """Every stage as a row of spans with its percentiles, from `LatencyReport.to_dict()`."""
    stages = {s["stage"]: s for s in latency["stages"] if s["count"]}
    if not stages:
        return []
    names = [_STAGES[name] for name in stages]
    spans = [
        {
            "stage": _STAGES[r["stage"]],
            "seconds": max(r["seconds"], 1),
            "state": "still open" if r["endedAt"] is None else "ended",
            # The same shift for the same row, so that a picture never changes by itself.
            "shift": (i * 0.618034) % 1 * 26 - 13,
            "href": f"#span-{i + 1}",
        }
        for i, r in enumerate(latency["rows"])
    ]
    marks = [
        {
            "stage": _STAGES[name],
            "p50": max(s["atLeast"]["p50"], 1),
            "p90": max(s["atLeast"]["p90"], 1),
            "target": s["targetS"],
        }
        for name, s in stages.items()
    ]
    ticks = [1, 60, 600, 3600, 14400, 86400, 604800]
    words = {1: "≤ 1 s", 60: "1 min", 600: "10 min", 3600: "1 h", 14400: "4 h", 86400: "1 d", 604800: "7 d"}
    label = "".join(f"datum.value == {t} ? '{words[t]}' : " for t in ticks) + "''"
    most = max(s["seconds"] for s in spans)
    scale = {"type": "log", "domain": [1, max(most * 1.3, 600)], "nice": False}
    x = {"type": "quantitative", "scale": scale, "title": None}
    shown = [t for t in ticks if t <= most * 1.3 or t <= 600]
    axis = {"values": shown, "labelExpr": label}
    dots = {
        "data": {"values": spans if len(spans) <= DOTS else []},
        "mark": {"type": "point", "size": 42, "strokeWidth": 1.4, "opacity": 0.75},
        "encoding": {
            "x": {**x, "field": "seconds", "axis": axis},
            "yOffset": {"field": "shift", "type": "quantitative", "scale": {"domain": [-26, 26]}},
            "stroke": _scale([("ended", "accent"), ("still open", "bad")], "state"),
            "fill": {**_scale([("ended", "accent"), ("still open", "bad")], "state"), "legend": None},
            "fillOpacity": {
                "condition": {"test": "datum.state == 'ended'", "value": 0.55},
                "value": 0,
            },
            "href": {"field": "href"},
        },
    }
    chart = Chart(
        name="latency-stages",
        title="How long each stage takes",
        note=f"A dot a case; hollow ones still last. Thick mark: median, thin: 90th percentile (method"
        f" {latency['percentile']}), open ones at their age so far. Dashed: the policy’s target.",
        spec={
            "width": WIDTH,
            "height": {"step": 58},
            "data": {"values": marks},
            "encoding": {
                "y": {"field": "stage", "type": "nominal", "sort": names, "title": None,
                      "axis": {"labelColor": _LIGHT["ink"], "grid": False}},
            },
            "layer": [
                {**dots, "encoding": {**dots["encoding"]}},
                _tick(x, "p50", 36, 3, "ink"),
                _tick(x, "p90", 36, 1.2, "ink"),
                {
                    "transform": [{"filter": "isValid(datum.target)"}],
                    "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.4, "color": _LIGHT["bad"]},
                    "encoding": {
                        "x": {**x, "field": "target"},
                        "y": {"field": "stage", "type": "nominal", "sort": names, "bandPosition": 0.05},
                        "y2": {"field": "stage", "bandPosition": 0.95},
                    },
                },
            ],
        },
    )  # fmt: skip
    return [chart]


def _tick(x: Mapping[str, Any], field: str, size: int, thickness: float, colour: str) -> dict[str, Any]:
    return {
        "mark": {"type": "tick", "size": size, "thickness": thickness, "color": _LIGHT[colour]},
        "encoding": {"x": {**x, "field": field}},
    }


def of_practice(practice: Mapping[str, Any]) -> list[Chart]:
    """Rates of all and of each operator on one scale, from `PracticeReport.to_dict()`."""
    totals, band = practice["totals"], practice["escalationBand"]["percent"]
    rates = [r for r in RATES if totals[r[0]] is not None]
    if not rates:
        return []
    names = [label for _, label, _, _ in rates]
    whole = [
        {"rate": label, "value": totals[key], "said": f"{totals[part]} of {totals[of]}",
         "href": HREFS[key]}
        for key, label, part, of in rates
    ]  # fmt: skip
    each = [
        {"rate": label, "value": g[key], "operator": g["operator"],
         "href": HREFS[key] + "&operator=" + token(g["operator"])}
        for key, label, _, _ in rates
        for g in practice["byOperator"]
        if g[key] is not None
    ]  # fmt: skip
    y = {"field": "rate", "type": "nominal", "sort": names, "title": None}
    x = {"field": "value", "type": "quantitative", "scale": {"domain": [0, 1]}, "title": None}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "bar", "height": 16, "cornerRadius": 2, "color": _LIGHT["accent"]},
            "encoding": {"x": {**x, "axis": {"format": ".0%", "tickCount": 5}}, "href": {"field": "href"}},
        },
        {
            "data": {"values": each},
            "mark": {"type": "point", "size": 60, "strokeWidth": 1.6, "stroke": _LIGHT["ink"], "fill": None},
            "encoding": {"x": x, "href": {"field": "href"}},
        },
        {
            "mark": {"type": "text", "align": "left", "color": _LIGHT["ink"], "fontWeight": "bold",
                     "x": WIDTH + 14},
            "encoding": {"text": {"field": "said"}, "href": {"field": "href"}},
        },
    ]  # fmt: skip
    if "Escalated" in names:
        layers.insert(
            0,
            {
                "data": {"values": [{"rate": "Escalated", "low": band[0] / 100, "high": band[1] / 100}]},
                "mark": {"type": "bar", "height": 38, "color": _LIGHT["band"]},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
        )
    chart = Chart(
        name="practice-rates",
        title="How suggestions are worked with",
        note=f"Bars: all; rings: one operator each. Shaded: the band in which escalations should lie,"
        f" {band[0]}–{band[1]}% of the cases decided on.",
        spec={
            "width": WIDTH,
            "height": {"step": 46},
            "data": {"values": whole},
            "encoding": {"y": {**y, "axis": {"labelColor": _LIGHT["ink"]}}},
            "layer": layers,
        },
    )
    return [chart]


#: Where the rows behind a rate of practice are: what counts for it.
HREFS = {
    "editRate": "#decisions?edited=yes",
    "abstainRate": "#acts?opening=none",
    "overrideRate": "#decisions?overridden=yes",
    "escalationRate": "#decisions?first=yes&escalated=yes",
}


def of_sync(sync: Mapping[str, Any], number: int = 1) -> list[Chart]:
    """Outcomes by hour (UTC), from `Summary.to_dict()` in our own dialect; nothing for a file without times."""
    hours = sync["hours"]
    if not hours:
        return []
    kinds = (("success", "good"), ("unknown", "wait"), ("failure", "bad"))
    rows = [
        {"hour": h["hour"], "kind": kind, "count": h[kind], "place": place,
         "href": f"#deliveries?class={kind}&hour={h['hour'][:13]}"}
        for h in hours
        for place, (kind, _) in enumerate(kinds)
        if h[kind]
    ]  # fmt: skip
    return [
        Chart(
            name="sync-hours" if number == 1 else f"sync-hours-{number}",
            title="Deliveries by hour",
            note="Sync events by outcome; hours are UTC.",
            spec={
                "width": WIDTH,
                "height": 200,
                "data": {"values": rows},
                "mark": {"type": "bar", "cornerRadius": 1, "width": _bar_width(hours)},
                "encoding": {
                    # UTC by name: a temporal axis without it shifts with the machine's own zone.
                    "x": {"field": "hour", "type": "temporal", "timeUnit": "utcyearmonthdatehours", "title": None,
                          "scale": {"type": "utc"},
                          "axis": {"grid": False, "format": "%b %d %H:%M", "labelOverlap": True, "tickCount": 8}},
                    "y": {"field": "count", "type": "quantitative", "title": "events",
                          "axis": {"tickMinStep": 1, "tickCount": 5}},
                    "color": _scale(kinds, "kind"),
                    "order": {"field": "place"},
                    "href": {"field": "href"},
                },
            },
        )
    ]  # fmt: skip


def _bar_width(hours: Sequence[Mapping[str, Any]]) -> int:
    """Points a bar may be wide so that the bars of two hours in a row do not cover each other."""
    first, last = (codec.moment(hours[place]["hour"]) for place in (0, -1))
    return max(3, min(22, round(0.8 * WIDTH / ((last - first).total_seconds() / 3600 + 1))))


def token(text: str) -> str:
    """A value as it stands in an anchor: no blank, no separator, nothing a browser would change."""
    from urllib.parse import quote

    return quote(text, safe="@.:-")


def _scale(pairs: Iterable[tuple[str, str]], field: str = "outcome") -> dict[str, Any]:
    pairs = list(pairs)
    scale = {"domain": [word for word, _ in pairs], "range": [_LIGHT[colour] for _, colour in pairs]}
    return {"field": field, "type": "nominal", "scale": scale}


def _level(rate: float, thresholds: Mapping[str, Any]) -> str:
    if rate > thresholds["criticalAbove"]:
        return "critical"
    return "warn" if rate > thresholds["warnAbove"] else "ok"


def _percent(rate: float) -> str:
    return f"{rate * 100:.4g}%"


def _long(minutes: int) -> str:
    return f"{minutes // 60} h" if minutes >= 120 and minutes % 60 == 0 else f"{minutes} min"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _folded(text: str, width: int = 100) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)


def _settled(svg: str) -> str:
    # The renderer counts clip paths for as long as the process lives, and gives anchors a host.
    for number, name in enumerate(dict.fromkeys(re.findall(r'\bid="(clip\d+)"', svg)), 1):
        svg = re.sub(rf'(?<=id="){name}(?=")|(?<=url\(#){name}(?=\))', f"c{number}", svg)
    return re.sub(r'xlink:href="[^"#]*#', 'xlink:href="#', svg)


def _renderer() -> Any:
    required()
    import vl_convert

    return vl_convert
