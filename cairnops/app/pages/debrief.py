"""A case talked over: points, expected beside done, the rules that spoke, and what good looks like."""

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import stat_tiles
from cairnops.app.components.entries import entries, entry
from cairnops.app.text import plain
from cairnops.app.views import words
from cairnops.app.views.debrief import Debriefed, debriefed
from cairnops.domain.conversations import Actor
from cairnops.scenarios import practice
from cairnops.scenarios.practice import Debrief


def draw(found: Debrief, *, key: str) -> None:
    """Draw the debrief of one case, in a dialog or on a page."""
    view = debriefed(found)
    _points(view, key)
    if view.answer:
        with st.container(border=True):
            st.text(f"Best answer: {view.answer}")
            st.text(view.why)
    entries(
        [
            entry(
                f"{place}",
                line.title,
                tone=line.tone,
                chip=line.state,
                pair=[("Expected", line.expected), ("Found", line.found)] if line.state != "met" else (),
                lines=(line.found,) if line.state == "met" else (),
                codes=line.rules if line.state == "missed" else (),
            )
            for place, line in enumerate(view.lines)
        ],
        key=f"{key}_lines",
        label="Expected and found",
        heading=True,
    )
    if view.good_looks_like:
        entries(
            [entry(f"{place}", line) for place, line in enumerate(view.good_looks_like)],
            key=f"{key}_good",
            label="What good looks like",
            heading=True,
        )
    if view.rules:
        entries(
            [
                entry(
                    rule.code,
                    rule.title,
                    tone=rule.tone,
                    chip="met" if rule.said else "",
                    lines=(rule.said, rule.meaning, rule.way_out, rule.source),
                    codes=(rule.code,),
                )
                for rule in view.rules
            ],
            key=f"{key}_rules",
            label="The rules behind it",
            heading=True,
        )


def _points(view: Debriefed, key: str) -> None:
    tiles = [{"label": "Result", "value": "—" if view.points is None else str(view.points), "hint": view.headline,
              "tone": view.tone}]  # fmt: skip
    tiles += [
        {"label": part, "value": str(got), "hint": f"of {out_of}", "tone": "" if got == out_of else "warn"}
        for part, got, out_of in view.parts
    ]
    stat_tiles(tiles, key=f"{key}_points")  # type: ignore[arg-type]


@shell.dialog("debrief")
def _dialog(conversation: str, operator: str = "") -> None:
    """The kept debrief of a case: that of the person at the browser, unless another operator is named."""
    room, who = shell.room(), operator or shell.me().email
    given = practice.scenario_of(room.workspace, shell.focus(), conversation)
    found = practice.debrief(room.workspace, shell.focus(), given[1], Actor(email=who)) if given else None
    title = f"Debrief: {found.seeded.letter} {found.seeded.title}" if found else "Debrief"

    with shell.modal(plain(title), width="large"):
        if found is None:
            st.text("This case has not been finished yet.")
            return
        if who != shell.me().email:
            st.text(words.person(who))
        draw(found, key=f"_debrief_{conversation}")
