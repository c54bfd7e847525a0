"""The report on the screen: verdicts, charts whose bars lead to the rows behind them, tables, exports."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import data_table, stat_tiles
from cairnops.app.text import plain
from cairnops.app.views import report as views
from cairnops.app.views.report import PICK, Picture, Table
from cairnops.domain.policy import Policy
from cairnops.evidence import cases, inert
from cairnops.evidence import report as pages
from cairnops.evidence.report import Figures
from cairnops.evidence.report_rows import STAGE_NAMES, minute
from cairnops.telemetry.writer import export_name

#: Colours by what they mean, in the theme's own tones; the names are those of `evidence.charts.COLOURS`.
COLOURS = {
    "light": {
        "ink": "#15211F", "muted": "#4C5B58", "grid": "#E3EAE8", "good": "#16803F", "wait": "#AEBCB9",
        "late": "#B57A00", "bad": "#C02B35", "accent": "#0F766E", "band": "#C3E3DF", "on": "#FFFFFF",
    },
    "dark": {
        "ink": "#E4ECEA", "muted": "#AFBDBA", "grid": "#24302E", "good": "#4CBF77", "wait": "#5B6B68",
        "late": "#E5B23F", "bad": "#F26D75", "accent": "#3FB8AB", "band": "#134F49", "on": "#101817",
    },
}  # fmt: skip

#: Rows behind a figure on the page; the download has all of them.
_ROWS = 300
_SECTIONS = ("Overview", "SLA", "Latency", "Practice", "Delivery", "People")

ss = st.session_state


def draw(people: Callable[[str], None]) -> None:
    """Draw the report; `people` draws the part about operators and scores."""
    names = [row["name"] for row in shell.room().workspace.sessions.all()]
    ss.setdefault("_report_session", shell.focus() if shell.focus() in names else "")
    if ss["_report_session"] not in ("", *names):
        ss["_report_session"] = ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        session = st.selectbox(
            "Of",
            ["", *names],
            key="_report_session",
            format_func=lambda one: inert.one_line(one) or "Everything in the workspace",
            width=260,
            on_change=_another,
        )
        f, behind_by = _measured(session)
        st.text(_as_of(f), width="stretch")
        if behind_by:
            st.button(
                f"Measure again: {behind_by:,} newer events",
                on_click=_again,
                icon=":material/refresh:",
                key="_report_again",
            )
    section = st.segmented_control(
        "Part", _SECTIONS, default=_SECTIONS[0], key="_report_section", label_visibility="collapsed",
        on_change=_forget,
    )  # fmt: skip
    colours = COLOURS["dark" if st.context.theme.type == "dark" else "light"]
    if section == "People":
        people(session)
        return
    if not (f.material.cases or f.material.decided or f.material.deliveries):
        st.info(
            "Nothing to report on: no decision, conversation or delivery yet.", icon=":material/hourglass:"
        )
        return
    pictures = views.pictures(f, colours)
    {"SLA": _sla, "Latency": _latency, "Practice": _practice, "Delivery": _delivery}.get(
        section or "", _overview
    )(f, pictures)


# What is measured, and when.


def _measured(session: str) -> tuple[Figures, int]:
    """The figures as they were measured last, and how many events came after.

    They hold still until they are asked for again: rows must not move under somebody who reads them, and a
    room at work commits several times a second.
    """
    workspace = shell.room().workspace
    newest = workspace.ledger.newest()
    kept = ss.get("_report")
    if kept is None or kept[0] != session:
        with st.spinner("Measuring…"):
            kept = ss["_report"] = (session, newest, pages.of_workspace(workspace, session))
    return kept[2], newest - kept[1]


def _as_of(f: Figures) -> str:
    policy: Policy = f.policy
    return (
        f"As of {minute(f.sla['asOf'])} UTC, the newest in the data. {len(f.material.cases):,} conversations, "
        f"{len(f.material.decided):,} decisions, {len(f.material.deliveries):,} deliveries. Policy {policy.profile}."
    )


def _again() -> None:
    ss.pop("_report", None)
    shell.refresh("page")


def _another() -> None:
    _forget()
    ss.pop("_run", None)


def _forget() -> None:
    ss["_behind"] = ss["_behind_of"] = ""
    ss["_behind_epoch"] = ss.get("_behind_epoch", 0) + 1


# The parts.


def _overview(f: Figures, _: dict[str, Picture]) -> None:
    _judged(f)
    figures = views.overview(f)
    for row in range(0, len(figures), 4):
        stat_tiles(
            [
                {"label": x.label, "value": x.value, "hint": x.hint, "tone": x.tone}
                for x in figures[row : row + 4]
            ],  # type: ignore[typeddict-item]
            key=f"_report_tiles_{row}",
        )
    _exports(f)
    _rows(f, _choose([(f"{x.label}: {x.value}", x.href) for x in figures]))


def _judged(f: Figures) -> None:
    data_table(
        [
            {"key": "name", "label": "Measure"},
            {"key": "word", "label": "Verdict"},
            {"key": "why", "label": "Why"},
        ],
        [
            {"id": v.name, "cells": {"name": v.name, "word": {"text": v.word, "tone": v.tone}, "why": v.why}}  # type: ignore[typeddict-item]
            for v in views.verdicts(f)
        ],
        key="_report_verdicts",
        caption="Verdicts",
        sort=False,
    )


def _exports(f: Figures) -> None:
    at, stem = shell.room().now(), ss["_report_session"] or "workspace"
    with st.container(horizontal=True, key="report_exports"):
        _download(
            "Report as HTML", lambda: pages.page(f).encode(), f"report-{stem}.html", "text/html", "html"
        )
        _download(
            "Conversations as CSV",
            lambda: cases.csv_text(f.sla["rows"]).encode(),
            export_name("conversations", at).replace(".ndjson", ".csv"),
            "text/csv",
            "csv",
            disabled=not f.sla["rows"],
        )


def _sla(f: Figures, pictures: dict[str, Picture]) -> None:
    if not f.sla["totals"]["conversations"]:
        st.info("No conversations yet, so no wait can be measured.", icon=":material/hourglass:")
        return
    _verdict(f, "SLA")
    _charts(f, pictures, "sla-outcomes", "sla-breaches-by-operator", "sla-clocks")
    by = st.segmented_control(
        "Broken down by", ["operator", "day", "priority", "team", "inbox"], default="operator", key="_sla_by",
        format_func=str.capitalize,
    )  # fmt: skip
    _table(views.sla_groups(f, by or "operator"), f"SLA by {by or 'operator'}", "_sla_table")


def _latency(f: Figures, pictures: dict[str, Picture]) -> None:
    if not any(s["count"] for s in f.latency["stages"]):
        st.info("Nothing here has a beginning to measure from yet.", icon=":material/hourglass:")
        return
    _verdict(f, "Escalation latency")
    stages = [s for s in f.latency["stages"] if s["count"]]
    _charts(
        f,
        pictures,
        "latency-stages",
        more=[
            (f"{STAGE_NAMES[s['stage']]}: {s['count']} cases", f"#spans?stage={s['stage']}") for s in stages
        ],
    )
    _table(views.stages(f), "Stages", "_latency_table")
    st.text(
        f"Percentiles by the method {f.latency['percentile']}. What still lasts counts at its age so far, so such a "
        "figure is a lower bound (≥)."
    )
    for r in f.latency.get("minutesRecovered", ()):
        st.text(
            f"{r['minutes']} minutes recovered in {r['cases']} cases, against {r['baselines']} timed by hand."
        )
    if not f.latency.get("minutesRecovered"):
        st.text("How much time this saves is not said: that takes the same work timed by hand.")


def _practice(f: Figures, pictures: dict[str, Picture]) -> None:
    if f.practice["verdict"]["status"] != "ok":
        st.info("No decisions, openings or scenario runs yet.", icon=":material/hourglass:")
        return
    _verdict(f, "Escalation rate")
    _charts(f, pictures, "practice-rates")
    by = st.segmented_control(
        "Compare", ["operator", "cohort"], default="operator", key="_practice_by",
        format_func={"operator": "Operators", "cohort": "Cohorts (sessions)"}.__getitem__,
    ) or "operator"  # fmt: skip
    _table(views.practice_groups(f, by), f"Practice by {by}", "_practice_table")
    _course(f, by)
    st.header("What is edited most", anchor=False)
    _table(
        views.patterns(f),
        "What is edited most",
        "_patterns",
        "No edit is frequent enough to be a pattern yet.",
    )
    st.header("Guardrails against the answers", anchor=False)
    _table(
        views.confusion(f), "Guardrails against the answers", "_confusion",
        "Not enough data to say: no guardrail was raised in a run with an answer key.",
    )  # fmt: skip


def _course(f: Figures, by: str) -> None:
    keys = [key for key, _, _ in views.COURSES]
    names = {key: name for key, name, _ in views.COURSES}
    key = st.selectbox("Over time", keys, key="_course", format_func=names.__getitem__, width=260)
    colours = COLOURS["dark" if st.context.theme.type == "dark" else "light"]
    made = views.course(f, key, by, colours)
    if isinstance(made, str):
        st.info(made, icon=":material/hourglass:")
    else:
        _draw(made)


def _delivery(f: Figures, pictures: dict[str, Picture]) -> None:
    if not f.sync:
        st.info("Nothing was delivered yet.", icon=":material/hourglass:")
        return
    s = f.sync[0]
    _verdict(f, "Delivery")
    t = s["totals"]
    st.text(
        f"{t['success']:,} delivered, {t['failure']:,} failed, {t['unknown']:,} unknown of {t['records']:,}; the "
        f"failure rate divides by the {t['failureDenominator']} outcomes."
    )
    _charts(f, pictures, "sync-hours")
    outcomes, errors, took = views.sync_tables(s)
    left, middle, right = st.columns(3)
    with left:
        _table(outcomes, "Outcomes", "_sync_outcomes")
    with middle:
        _table(errors, "Errors", "_sync_errors", "No errors.")
    with right:
        _table(took, "How long a delivery took", "_sync_took", "No durations were recorded.")


# Pieces.


def _verdict(f: Figures, name: str) -> None:
    found = next(v for v in views.verdicts(f) if v.name == name)
    show = {"good": st.success, "warn": st.warning, "bad": st.error}.get(found.tone, st.info)
    show(plain(f"{found.word}: {found.why}", 300))


def _charts(
    f: Figures, pictures: dict[str, Picture], *names: str, more: Sequence[tuple[str, str]] = ()
) -> None:
    """Charts one below the other, and below the one something was chosen in the rows behind it."""
    drawn = [pictures[name] for name in names if name in pictures]
    offered = [(f"{p.title}: {pick.label}", pick.href) for p in drawn for pick in p.picks]
    chosen = _choose([*offered, *more], " (or press it in the chart)")
    of = ss.get("_behind_of", "")
    if of not in names:
        of = next((p.name for p in drawn if any(pick.href == chosen for pick in p.picks)), names[0])
    for picture in drawn:
        _draw(picture)
        if picture.name == of:
            _rows(f, chosen)


def _draw(picture: Picture) -> None:
    st.header(picture.title, anchor=False)
    more: dict[str, Any] = {}
    if any("params" in layer for layer in picture.spec.get("layer", [picture.spec])):
        key = f"_chart_{picture.name}_{ss.get('_behind_epoch', 0)}"
        more = {"on_select": lambda: _pressed(picture.name, key), "selection_mode": PICK, "key": key}
    st.vega_lite_chart(
        spec=dict(picture.spec), width="stretch", alt=f"{picture.title}. {picture.note}", **more
    )
    st.caption(plain(picture.note, 400))


def _pressed(name: str, key: str) -> None:
    pressed = ss[key].selection.get(PICK) or []
    ss["_behind"] = next((one["href"] for one in pressed if one.get("href")), "")
    ss["_behind_of"] = name


def _choose(offered: Sequence[tuple[str, str]], how: str = "") -> str:
    """The address of the rows to show: of what was pressed in a chart, or chosen here, which takes no mouse."""
    names = {"": "None"} | {href: label for label, href in offered}
    names.setdefault(ss.setdefault("_behind", ""), "The mark that was pressed")
    return st.selectbox(
        f"Rows behind a figure{how}",
        list(names),
        key="_behind",
        format_func=lambda href: inert.one_line(names[href]),
        on_change=_listed,
    )


def _listed() -> None:
    """Something was chosen in the list: what was pressed in a chart before no longer stands out."""
    ss["_behind_of"] = ""
    ss["_behind_epoch"] = ss.get("_behind_epoch", 0) + 1


def _rows(f: Figures, chosen: str) -> None:
    found = views.behind(f, chosen) if chosen else None
    if found is None:
        return
    some = len(found.table.rows)
    cut = f", the first {_ROWS} shown" if some > _ROWS else ""
    with st.container(border=True, key="report_behind"):
        with st.container(horizontal=True, vertical_alignment="center"):
            said = f" ({found.chosen})" if found.chosen else ""
            st.text(f"{found.title}: {some:,} of {found.of:,}{said}{cut}", width="stretch")
            _download(
                "These rows as CSV",
                lambda: cases.csv_text(found.table.records()).encode(),
                "rows.csv",
                "text/csv",
                "behind",
                disabled=not some,
            )
        _table(found.table, found.title, "_behind_table", "No row is behind it.")


def _table(t: Table, caption: str, key: str, empty: str = "Nothing to show.") -> None:
    data_table(
        [
            {
                "key": str(place),
                "label": head,
                "align": "right" if place in t.numbers else "left",
                "mono": place in t.moments,
            }
            for place, head in enumerate(t.heads)
        ],
        [
            {
                "id": str(at),
                "cells": {
                    str(place): {"text": text, "sort": (t.sort or {})[at, place]}
                    if (at, place) in (t.sort or {})
                    else text
                    for place, text in enumerate(row)
                },
            }
            for at, row in enumerate(t.rows[:_ROWS])
        ],
        key=key,
        caption=caption,
        empty=empty,
    )


def _download(
    label: str, data: Callable[[], bytes], name: str, mime: str, key: str, *, disabled: bool = False
) -> None:
    st.download_button(
        label, data, file_name=name, mime=mime, on_click="ignore", disabled=disabled, icon=":material/download:",
        key=f"_report_download_{key}",
    )  # fmt: skip
