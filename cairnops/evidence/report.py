"""What a report page says: figures with their denominators, charts, and under each the very rows it rests on."""

import base64
import hashlib
import html
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from cairnops import __version__, codec
from cairnops.analytics import inputs, latency, practice, sla, summary
from cairnops.analytics.inputs import Material
from cairnops.domain.policy import Policy
from cairnops.evidence import charts, exports, report_rows
from cairnops.evidence.charts import Chart, token
from cairnops.evidence.report_rows import (
    CLOCK_WORDS,
    FINE,
    STAGE_NAMES,
    VERDICTS,
    Cell,
    Links,
    e,
    length,
    minute,
    number_cell,
    percent,
    span,
    table,
    text,
)  # fmt: skip
from cairnops.evidence.report_tiles import Tile, tiles
from cairnops.policy_file import Override, PolicyInForce
from cairnops.settings import Settings
from cairnops.store.baselines import SqlBaselines
from cairnops.telemetry.reader import read_lines
from cairnops.telemetry.source import files_of
from cairnops.workspace import Workspace, now

#: What lies beside exports in a folder and is none.
_NEVER = (".json", ".md", ".csv", ".txt", ".pub", ".key", ".html", ".zip")

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Everything a page says, measured once: `sla`, `latency`, `practice` and `sync` as their `to_dict()` give it."""

    title: str
    at: datetime
    policy: Policy
    material: Material
    sla: dict[str, Any]
    latency: dict[str, Any]
    practice: dict[str, Any]
    #: One for every file of sync events.
    sync: tuple[dict[str, Any], ...]
    charts: tuple[Chart, ...] = field(default=())
    #: What in the policy is not its profile's, and who set it.
    overrides: tuple[Override, ...] = ()


def measure(
    material: Material,
    policy: Policy,
    at: datetime,
    *,
    title: str,
    sync: Iterable[dict[str, Any]] = (),
    baselines: Iterable[latency.Measured] = (),
    link: str = "",
    overrides: Iterable[Override] = (),
) -> Figures:
    """Measure everything a page shows at `at` (UTC); `sync` are summaries in our own dialect (`summaries`)."""
    found = sla.measure(material.cases, policy, at, decisions=material.decided, link=link).to_dict()
    stages = latency.measure(material, policy, at, baselines=baselines).to_dict()
    habits = practice.measure(material.decided, material.cases, policy).to_dict()
    events = tuple(sync)
    drawn = [*charts.of_sla(found), *charts.of_latency(stages), *charts.of_practice(habits)]
    for number, one in enumerate(events, 1):
        drawn += charts.of_sync(one, number)
    return Figures(
        title=title,
        at=at,
        policy=policy,
        material=material,
        sla=found,
        latency=stages,
        practice=habits,
        sync=events,
        charts=tuple(drawn),
        overrides=tuple(overrides),
    )


def of_workspace(
    workspace: Workspace,
    session: str = "",
    *,
    policy: PolicyInForce | None = None,
    at: datetime | None = None,
    title: str = "",
) -> Figures:
    """Everything a page says about the workspace, or one session of it.

    The policy is the workspace's and the moment the newest in the data, unless they are given.

    Raises:
        NotFound: for a session the workspace does not have.
    """
    in_force = policy or workspace.in_force
    chosen = in_force.policy
    name = f"{workspace.sessions.get(session).title}: {session}" if session else "Everything in the workspace"
    events = exports.rows(workspace.ledger, "sync-events", session=session)
    kinds: tuple[exports.Shape, ...] = ("decisions", "conversations")
    others = (row for kind in kinds for row in exports.rows(workspace.ledger, kind, session=session))
    material = inputs.of_rows(chain(others, events))
    found = summary_of_rows(events, chosen)
    return measure(
        material,
        chosen,
        at or material.newest or now(),
        title=title or name,
        sync=[found] if found else [],
        baselines=SqlBaselines(workspace.ledger.engine).standing(),
        link=case_address(workspace.settings),
        overrides=in_force.overrides(),
    )


def case_address(settings: Settings) -> str:
    """The address of a conversation in the help desk, with `{id}` in it; empty when that is the simulator."""
    base = settings["CHATWOOT_BASE_URL"]
    return f"{base}/app/accounts/{settings['CHATWOOT_ACCOUNT_ID']}/conversations/{{id}}" if base else ""


def summaries(paths: Iterable[Path], policy: Policy) -> list[dict[str, Any]]:
    """The summary of every file whose first record is a sync event.

    Raises:
        InputError: for a file that cannot be opened.
    """
    out = []
    every = (
        sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else files_of(path)
        for path in paths
    )
    for path in (p for some in every for p in some if not (p.suffix in _NEVER and len(some) > 1)):
        first = next((line.record for line in read_lines(path) if line.record is not None), None)
        if first is not None and inputs.shape_of(first) == "sync event":
            out.append(summary.summarize(path, measures=policy.measures, alerts=policy.alerts).to_dict())
    return out


def summary_of_rows(rows: Iterable[Mapping[str, Any]], policy: Policy) -> dict[str, Any] | None:
    """The same of sync events in memory; None for none."""
    text = "".join(json.dumps(dict(row)) + "\n" for row in rows)
    if not text:
        return None
    source = io.BytesIO(text.encode())
    return summary.summarize(source, measures=policy.measures, alerts=policy.alerts).to_dict()


def page(figures: Figures, *, drawn: bool = True) -> str:
    """The page: one HTML document that loads nothing, runs one script it carries, and prints.

    With `drawn=False`, or without the `charts` extra, it says where charts are missing; the figures are the same.
    Text from outside is escaped, and characters that hide or turn text are written out.
    """
    return _Page(figures, drawn and charts.available()).text()


class _Page:
    def __init__(self, figures: Figures, drawn: bool):
        self.f = figures
        self.drawn = drawn
        self.links = Links()
        self.charts = {c.name: c for c in figures.charts}

    def text(self) -> str:
        body = "".join(
            (
                self._sla(),
                self._latency(),
                self._practice(),
                *(self._sync(i, s) for i, s in enumerate(self.f.sync, 1)),
                "" if self.f.sync else _empty("sync-1", "Delivery", "No sync events among the inputs."),
            )
        )
        top = self._top()
        every = (made(self.f, self.links) for made in report_rows.TABLES)
        rows = [r for r in every if r.rows]
        held = {r.name for r in rows}
        tables = "".join(
            r.html({a for a in self.links.used if a.partition("?")[0] == r.name and "?" in a}) for r in rows
        )
        body, tables = (_without_dead_ends(part, held) for part in (top + body, tables))
        style = _colours() + (_FOLDER / "report.css").read_text(encoding="utf-8")
        script = (_FOLDER / "report.js").read_text(encoding="utf-8")
        hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hashed}'; base-uri 'none'"
        )
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
            f"<title>{e(self.f.title)}</title><style>{style}</style></head>\n<body>{body}"
            '<section id="rows"><h2>The rows behind the figures</h2><p class="note">Every figure above links to the '
            "rows it counts. Columns sort; times are UTC.</p></section>"
            f"{tables}</main>\n{self._footer()}<script>{script}</script></body></html>\n"
        )

    # -- the parts of the page

    def _top(self) -> str:
        f = self.f
        facts = [
            ("As of", f"{minute(codec.stamp(f.at))} UTC"),
            *(
                (name.title(), self.links.link(f"#{name}", f"{count:,}") if count else "0")
                for name, count in (
                    ("conversations", len(f.material.cases)),
                    ("decisions", len(f.material.decided)),
                    ("deliveries", len(f.material.deliveries)),
                )
            ),
            ("Policy", f"{e(f.policy.profile)}, {f.sla['policy']['hash'][:12]}"),
        ]
        verdicts = [("SLA", f.sla["verdict"]), ("Escalation latency", f.latency["verdict"])]
        verdicts += [
            ("Delivery" if len(f.sync) == 1 else f"Delivery: {s['source']['name']}", s["alert"])
            for s in f.sync
        ]
        items = "".join(
            f'<li class="{e(v["status"])}"><b>{e(name)}: {VERDICTS[v["status"]].lower()}</b>'
            f"<span>{e('; '.join(v.get('reasons', ())) or FINE.get(name, 'within its thresholds'))}</span></li>"
            for name, v in verdicts
        )
        names = [
            ("sla", "SLA"),
            ("latency", "Escalation latency"),
            ("practice", "Practice"),
            ("sync-1", "Delivery"),
        ]
        nav = "".join(
            f'<a href="#{a}">{n}</a>'
            for a, n in [*names, ("rows", "Rows"), ("sources", "Sources and methods")]
        )
        return (
            f'<header><div><p class="kind">Escalation desk report</p><h1>{e(f.title)}</h1><p class="facts">'
            + "".join(f"<span>{e(k)} <b>{v}</b></span>" for k, v in facts)
            + f'</p><ul class="verdicts">{items}</ul></div></header>'
            f'<nav aria-label="Parts"><div>{nav}</div></nav><main><div class="tiles">'
            f"{''.join(map(self._tile, tiles(self.f)))}</div>"
        )

    def _tile(self, tile: Tile) -> str:
        figure = self.links.link(tile.href, tile.count, tile.rows) + (f" {e(tile.of)}" if tile.of else "")
        return (
            f'<div class="tile {e(tile.status)}"><h3>{e(tile.name)}</h3><span class="big">{e(tile.big)}</span>'
            f'<span class="of">{figure}</span><p class="note">{e(tile.note)}</p></div>'
        )

    def _sla(self) -> str:
        s = self.f.sla
        if not s["totals"]["conversations"]:
            return _empty("sla", "SLA", "No conversations among the inputs, so no wait can be measured.")
        limits, counting = s["verdict"]["thresholds"], s["counting"]
        hours = "opening hours only" if counting["businessHours"] else "round the clock"
        rows = []
        for g in s["breakdowns"]["operator"]:
            who = f"&operator={token(g['operator'])}"
            late = g["firstResponse"]["missed"] + g["firstResponse"]["overdue"]
            rows.append([
                text(g["operator"] or "(nobody yet)"),
                self.links.count(f"#conversations?{who[1:]}", g["conversations"]),
                self.links.count(f"#conversations?open=yes{who}", g["open"]),
                self.links.count(f"#conversations?breached=yes&open=yes{who}", g["breachedOpen"]),
                Cell(percent(g["breachRate"]), str(g["breachRate"] or ""), "n"),
                self.links.count(f"#conversations?firstResponse=missed|overdue{who}", late),
                self.links.count(f"#conversations?unreplied=yes{who}", g["unreplied"]),
            ])  # fmt: skip
        heads = (
            "Operator",
            "Conversations",
            "Open",
            "Breached, open",
            "Rate",
            "First response late",
            "Never answered",
        )
        days = [
            [
                Cell(e(g["day"]), g["day"], "t"),
                self.links.count(f"#conversations?day={g['day']}", g["conversations"]),
                self.links.count(f"#conversations?open=yes&day={g['day']}", g["open"]),
                self.links.count(f"#conversations?breached=yes&open=yes&day={g['day']}", g["breachedOpen"]),
                Cell(percent(g["breachRate"]), str(g["breachRate"] or ""), "n"),
            ]
            for g in s["breakdowns"]["day"]
        ]
        both, created, last, neither = (
            self.links.count(f"#conversations?conversation_created={a}&last_customer_message={b}",
                             s["clockAgreement"][name]).html
            for name, a, b in (("both", "yes", "yes"), ("only_created", "yes", "no"),
                               ("only_last_customer", "no", "yes"), ("neither", "no", "no"))
        )  # fmt: skip
        return (
            f'<section id="sla"><h2>SLA</h2><p>{self._said(s["verdict"])}</p>'
            f'<p class="note">Clock in force: {e(CLOCK_WORDS.get(counting["clock"], counting["clock"]))}, {hours},'
            f" stopped by the {e(counting['stopOn'].replace('_', ' '))}. Rates divide by"
            f" {e(s['denominators']['breachRate'])}; at least {limits['minSamples']} are needed to judge.</p>"
            + self._drawn("sla-outcomes")
            + self._drawn("sla-breaches-by-operator")
            + f"<h3>By operator</h3>{table(heads, rows, right=range(1, 7))}"
            + self._drawn("sla-clocks")
            + f'<p class="note">Since the beginning or since the last message: {both} breached either way,'
            f" {created} only since the beginning, {last} only since the last message, {neither} neither.</p>"
            f"<h3>By day the conversation began (UTC)</h3>"
            f"{table(('Day', 'Conversations', 'Open', 'Breached, open', 'Rate'), days, right=range(1, 5))}</section>"
        )

    def _latency(self) -> str:
        lat = self.f.latency
        stages = [s for s in lat["stages"] if s["count"]]
        if not stages:
            return _empty(
                "latency", "Escalation latency", "Nothing among the inputs has a beginning to measure from."
            )
        rows = []
        for s in stages:
            key = f"#spans?stage={s['stage']}"
            late = s["missed"] + s["overdue"]
            rows.append([
                Cell(f"{e(STAGE_NAMES[s['stage']])}<br><span class=muted>{e(s['meaning'])}</span>", s["stage"]),
                self.links.count(key, s["count"]),
                self.links.count(f"{key}&ended=no", s["open"]),
                *(
                    Cell(("≥ " if s["open"] else "") + span(s["atLeast"][p]), str(s["atLeast"][p]), "n")
                    for p in ("p50", "p90", "p99")
                ),
                length(s["targetS"]),
                self.links.count(f"{key}&late=yes", late, f"{late} of {s['denominator']}")
                if s["targetS"] else Cell("–", "", "n"),
            ])  # fmt: skip
        aside = "".join(f"<li>{e(name)}: {count}</li>" for name, count in lat["aside"].items())
        recovered = "".join(
            f"<p><b>{r['minutes']} minutes recovered</b>: {e(span(r['baselineMeanS']))} by hand on average"
            f" ({r['baselines']} measured; {e('; '.join(r['sources']))}) against {e(span(r['productMeanS']))} here, in"
            f" {r['cases']} cases.</p>"
            for r in lat.get("minutesRecovered", ())
        )
        recovered = recovered or (
            '<p class="note">Opened → decided is time in the product. How much it saves is not said: that takes the'
            " same work timed by hand (<code>cairnops report baseline start</code>).</p>"
        )
        heads = ("Stage", "Cases", "Still open", "Median", "p90", "p99", "Target", "Late")
        return (
            f'<section id="latency"><h2>Escalation latency</h2><p>{self._said(lat["verdict"])}</p>'
            f'<p class="note">Percentiles by the method {e(lat["percentile"])}. What still lasts counts at its age so'
            " far, so such a figure is a lower bound (≥), never better than the truth.</p>"
            + self._drawn("latency-stages")
            + table(heads, rows, right=range(1, 8))
            + recovered
            + (
                f'<p class="note">In no distribution, but counted:</p><ul class="note">{aside}</ul>'
                if aside
                else ""
            )
            + "</section>"
        )

    def _practice(self) -> str:
        p = self.f.practice
        if p["verdict"]["status"] != "ok":
            return _empty("practice", "Practice", "No decisions, openings or scenario runs among the inputs.")
        rows = []
        for g in p["byOperator"]:
            who = f"&operator={token(g['operator'])}"
            rows.append([
                text(g["operator"] or "(nobody)"),
                self.links.count(f"#decisions?{who[1:]}", g["decisions"]),
                *(
                    self.links.count(f"{charts.HREFS[key]}{who}", g[part], f"{g[part]} of {g[of]}")
                    if g[of] else Cell("–", "", "n")
                    for key, _, part, of in charts.RATES
                ),
                self.links.count(f"#runs?answer=right|acceptable{who}", g["right"] + g["acceptable"],
                            f"{g['right'] + g['acceptable']} of {g['answered']}")
                if g["answered"] else Cell("–", "", "n"),
            ])  # fmt: skip
        heads = ("Operator", "Decisions", *(label for _, label, _, _ in charts.RATES), "Right")
        patterns = [
            [
                number_cell(x["decisions"]),
                text(x["removed"] or "–"),
                text(x["added"] or "–"),
                Cell(", ".join(self.links.link(f"#decisions?id={n}", f"#{n}") for n in x["examples"])),
            ]
            for x in p["editPatterns"]
        ]
        fired = [
            [Cell(f"<code>{e(c['code'])}</code>", c["code"]), *(
                self.links.count(f"#runs?{spoke}={token(c['code'])}&answer={answers}", count)
                for spoke, answers, count in (
                    ("raised", "right|acceptable|wrong", c["fired"]),
                    ("raised", "right|acceptable", c["firedRight"]),
                    ("raised", "wrong", c["firedWrong"]),
                    ("silent", "right|acceptable|wrong", c["silentRight"] + c["silentWrong"]),
                    ("silent", "wrong", c["silentWrong"])))]
            for c in p["confusion"] if c["fired"]
        ]  # fmt: skip
        rates = "; ".join(f"{k} of {v}" for k, v in (
            ("edited", "replies approved from a suggestion"), ("nothing suggested", "openings of a case"),
            ("overridden", "requests that met a block"), ("escalated", "conversations decided on")))  # fmt: skip
        return (
            f'<section id="practice"><h2>Practice</h2><p class="note">What each rate divides by: {rates}.</p>'
            + self._drawn("practice-rates")
            + f"<h3>By operator</h3>{table(heads, rows, right=range(1, 7))}"
            + (
                "<h3>What is edited most</h3>"
                + table(("Decisions", "Taken out", "Put in", "For example"), patterns, right=(0,))
                if patterns
                else ""
            )
            + (
                '<h3>Guardrails against the answers</h3><p class="note">Runs of scenarios with an answer key in which a'
                " guardrail was raised, or stayed silent.</p>"
                + table(("Guardrail", "Raised", "answer right", "answer wrong", "Silent", "answer wrong"), fired,
                         right=range(1, 6))
                if fired
                else ""
            )
            + "</section>"
        )  # fmt: skip

    def _sync(self, number: int, s: dict[str, Any]) -> str:
        t, d, limits = s["totals"], s["durationsMs"], s["alert"]["thresholds"]
        folded = Counter(x["status"].upper() for x in s["statusBreakdown"])
        statuses = [
            [text(x["status"]), self._events(s, f"status={token(x['status'].upper())}", x["count"],
                                             alone=folded[x["status"].upper()] == 1)]
            for x in s["statusBreakdown"]
        ]  # fmt: skip
        errors = [
            [
                Cell(f"<code>{e(x['code'])}</code>", x["code"]),
                self._events(s, f"cause={token(x['code'])}", x["count"]),
                text("; ".join(x["sampleMessages"][:2])),
            ]
            for x in s["errors"]["byCode"]
        ]
        kinds = {
            kind: self._events(s, f"class={kind}", t[kind]).html for kind in ("success", "failure", "unknown")
        }
        name = "" if len(self.f.sync) == 1 else f": {e(s['source']['name'])}"
        lengths = (
            [["p50", d["p50"]], ["p95", d["p95"]], ["p99", d["p99"]], ["longest", d["max"]]]
            if d["count"]
            else []
        )
        durations = "".join(f"<dt>{k}</dt><dd>{v:,} ms</dd>" for k, v in lengths)
        methods = (
            ", ".join(f"{k} {v:,} ms" for k, v in d.get("p95ByMethod", {}).items()) if d["count"] else ""
        )
        timed = self._events(s, "timed=yes", d["count"]).html if d["count"] else ""
        took = (
            f'<h3>How long a delivery took</h3><p class="note">Of the {timed} that say so.</p>'
            f"<dl>{durations}<dt>p95 by method</dt><dd>{e(methods)}</dd></dl>"
            if d["count"] else ""
        )  # fmt: skip
        return (
            f'<section id="sync-{number}"><h2>Delivery{name}</h2><p>{self._said(s["alert"])}</p>'
            f'<p class="note">{kinds["success"]} delivered, {kinds["failure"]} failed, {kinds["unknown"]} unknown of'
            f" {t['records']:,} events; the failure rate divides by the {e(t['failureDenominator'])} outcomes. Alert"
            f" above {percent(limits['failureRateAlert'])} failed or p95 above {limits['p95Ms']:,} ms.</p>"
            + self._drawn("sync-hours" if number == 1 else f"sync-hours-{number}")
            + took
            + f"<h3>Outcomes</h3>{table(('Status', 'Events'), statuses, right=(1,))}"
            + (f"<h3>Errors</h3>{table(('Code', 'Events', 'Said'), errors, right=(1,))}" if errors else "")
            + "</section>"
        )  # fmt: skip

    def _events(self, s: Mapping[str, Any], found: str, number: int, *, alone: bool = True) -> Cell:
        """A count of sync events with its link; the page shows those of all files together, each once."""
        exact = alone and len(self.f.sync) == 1 and s["totals"]["records"] == len(self.f.material.deliveries)
        if exact or not number:
            return self.links.count(f"#deliveries?{found}", number)
        return Cell(self.links.link(f"#deliveries?{found}", f"{number:,}"), str(number), "n")

    def _footer(self) -> str:
        f, m = self.f, self.f.material
        sources = "".join(
            f"<dt>{e(s.name)}</dt><dd>{s.records:,} records, {s.rejects:,} not read"
            f"<br><code>sha256 {e(s.sha256)}</code></dd>"
            for s in m.sources
        )
        sources = sources or (
            "<dt>Workspace</dt><dd>read as it stood at the moment above; its exports carry their own sha256</dd>"
        )
        problems = "".join(f"<li>{e(p.source)}, line {p.line}: {e(p.reason)}</li>" for p in m.problems)
        counts = f"{m.duplicates:,} rows given more than once (counted once), {m.other:,} of a shape no figure uses," \
                 f" {m.unusable:,} that could not be used"  # fmt: skip
        changed = "".join(
            f"<br>{e(o.key)} {e(_plain(o.value))} set by {e(o.by)}, in place of {e(_plain(o.instead))}"
            for o in f.overrides
        )
        return (
            '<footer><div id="sources"><h2>Sources and methods</h2><dl>'
            f"{sources}<dt>Left out</dt><dd>{counts}{problems and f'<ul>{problems}</ul>'}</dd>"
            f"<dt>Judged at</dt><dd>{e(codec.stamp(f.at))}</dd>"
            f"<dt>Policy</dt><dd>profile {e(f.policy.profile)}<br><code>sha256 {e(f.sla['policy']['hash'])}</code>"
            f"{changed}</dd>"
            f"<dt>Percentiles</dt><dd>method {e(f.policy.measures.percentile)}</dd>"
            f"<dt>Failure rate</dt><dd>of {e(f.policy.measures.failure_denominator)} outcomes</dd>"
            f"<dt>Made with</dt><dd>cairnops {e(__version__)}</dd></dl></div></footer>"
        )

    # -- pieces

    def _said(self, verdict: Mapping[str, Any]) -> str:
        status = verdict["status"]
        reasons = "; ".join(verdict.get("reasons", ()))
        return f'<span class="verdict {e(status)}">{VERDICTS[status]}</span> {e(reasons)}'

    def _drawn(self, name: str) -> str:
        chart = self.charts.get(name)
        if chart is None:
            return ""
        caption = f"<figcaption><b>{e(chart.title)}</b><span>{e(chart.note)}</span></figcaption>"
        if not self.drawn:
            picture = '<p class="note">Not drawn: the charts extra is not installed.</p>'
        else:
            svg = charts.inline(chart.svg(titled=False), name)
            self.links.used.update(html.unescape(a) for a in _anchors(svg))
            picture = f'<div class="draw">{svg}</div>'
        return f'<figure id="chart-{name}">{caption}{picture}</figure>'


def _empty(name: str, title: str, words: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2><p class="note">{e(words)}</p></section>'


def _plain(value: object) -> str:
    """A value of the policy as its file has it."""
    return value if isinstance(value, str) else codec.dumps(codec.plain(value))


def _anchors(svg: str) -> list[str]:
    return re.findall(r'xlink:href="#([^"]*)"', svg)


def _without_dead_ends(body: str, held: set[str]) -> str:
    """Links to a table of rows the page does not hold become plain text."""

    def keep(match: re.Match[str]) -> str:
        return match[0] if match[1] in held else match[2]

    body = re.sub(r'<a href="#([a-z]+)\?[^"]*"[^>]*>(.*?)</a>', keep, body)
    return re.sub(r' xlink:href="#([a-z]+)\?[^"]*"', lambda match: match[0] if match[1] in held else "", body)


def _colours() -> str:
    """The palette as variables, and the charts' fixed colours turned into them."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in charts.COLOURS.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in charts.COLOURS.items())
    swapped = "".join(
        f'svg [{kind}="{pair[0]}"]{{{kind}:var(--{name})}}'
        for name, pair in charts.COLOURS.items()
        for kind in ("fill", "stroke")
    )
    return (
        f":root{{color-scheme:light dark;--page:#fcfcfb;--card:#fff;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{--page:#10161d;--card:#161e27;{dark}}}}}{swapped}\n"
    )
