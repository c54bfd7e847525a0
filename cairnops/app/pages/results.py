"""The analyst's page: how the room does, with the rows behind each figure; operators see their own results only."""

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import Row, data_table, stat_tiles
from cairnops.app.text import plain
from cairnops.app.views import results as views
from cairnops.app.views.results import Operator, Run
from cairnops.domain.conversations import Actor
from cairnops.domain.duties import Duty
from cairnops.errors import CairnError
from cairnops.scenarios import scoring

ss = st.session_state


def page() -> None:
    """Draw the page."""
    st.title("Results" if shell.allowed(Duty.REVIEW) else "Your results", anchor=False)
    _live()


@shell.live
def _live() -> None:
    if not shell.allowed(Duty.REVIEW):
        _mine()
        return
    # Altair, DuckDB and what else the measures take: whoever works cases does not wait for them.
    from cairnops.app.pages import report

    report.draw(people)


def _runs(session: str, operator: str = "") -> tuple[Run, ...]:
    kept = shell.room().workspace.sessions
    names = [session] if session else [row["name"] for row in kept.all()]
    return views.runs(((name, row) for name in names for row in kept.runs(name)), operator=operator)


def _mine() -> None:
    """An operator's own runs, in all sessions; nobody else's are read."""
    some = _runs("", shell.me().email)
    if _debriefed(some):
        return
    if not some:
        st.info(
            "No results yet: finish a case of a session, and it is scored here.", icon=":material/hourglass:"
        )
        return
    standing = views.operators(some)[0]
    points = "–" if standing.points is None else f"{standing.points}"
    stat_tiles(
        [
            {"label": "Ready?", "value": standing.state.capitalize(), "hint": _bar(), "tone": standing.tone},  # type: ignore[typeddict-item]
            {"label": "Scenarios passed", "value": f"{standing.passed} of {standing.scenarios}"},
            {"label": "Points on average", "value": points, "hint": "out of 100"},
        ],
        key="_mine_tiles",
    )
    if standing.practise:
        st.text(f"Practise: {', '.join(standing.practise)}")
    _scores(some, alone=True)


def people(session: str) -> None:
    """Operators with their standing, every run, and the debrief of the one that is opened."""
    some = _runs(session)
    if _debriefed(some):
        return
    if not some:
        st.info("No scenario was finished yet, so there is nothing to score.", icon=":material/hourglass:")
        return
    st.header("Operators", anchor=False)
    data_table(
        [
            {"key": "who", "label": "Operator"},
            {"key": "state", "label": "State"},
            {"key": "passed", "label": "Passed", "align": "right"},
            {"key": "points", "label": "Points", "align": "right"},
            {"key": "practise", "label": "Practise"},
        ],
        [_operator(o) for o in views.operators(some)],
        key="_people_operators",
        caption="Who is ready",
    )
    st.text(_bar())
    _scores(some)


def _bar() -> str:
    return f"Ready: {scoring.READY_PERCENT}% of the finished scenarios passed, {scoring.PASS_POINTS} points on average."


def _operator(o: Operator) -> Row:
    return {
        "id": o.email,
        "cells": {
            "who": o.email,
            "state": {"text": o.state, "tone": o.tone},  # type: ignore[typeddict-item]
            "passed": {"text": f"{o.passed} of {o.scenarios}", "sort": o.passed},
            "points": "" if o.points is None else o.points,
            "practise": ", ".join(o.practise),
        },
    }


def _scores(some: tuple[Run, ...], *, alone: bool = False) -> None:
    st.header("Scores", anchor=False)
    columns = [("scenario", "Scenario"), ("who", "Operator"), ("session", "Session"), ("at", "When (UTC)"),
               ("did", "Did"), ("points", "Points"), ("result", "Result"), ("missed", "Missed")]  # fmt: skip
    data_table(
        [
            {"key": key, "label": label, "align": "right" if key == "points" else "left", "mono": key == "at"}
            for key, label in columns
            if not (alone and key == "who")
        ],
        [_run(r) for r in some],
        key="_scores",
        caption="Scores, newest first; open one for its debrief",
        on_open=_open,
    )


def _run(r: Run) -> Row:
    s = r.score
    return {
        "id": r.key,
        "cells": {
            "scenario": s.title,
            "who": s.operator,
            "session": r.session,
            "at": {"text": f"{r.at:%Y-%m-%d %H:%M}", "sort": r.at.timestamp()},
            "did": s.verb.replace("_", " ") or "nothing",
            "points": "" if s.points is None else s.points,
            "result": {"text": "passed" if s.passed else "not passed", "tone": "good" if s.passed else "bad"},
            "missed": ", ".join(r.missed),
        },
    }


def _open(key: str) -> None:
    ss["_run"] = key
    shell.refresh("page")


def _close() -> None:
    ss.pop("_run", None)
    shell.refresh("page")


def _debriefed(some: tuple[Run, ...]) -> bool:
    """The debrief of the run that was opened, in place of the scores; False when none is open."""
    run = next((r for r in some if r.key == ss.get("_run")), None)
    if run is None:
        return False
    from cairnops.app.pages import debrief
    from cairnops.scenarios import practice

    st.button("All scores", on_click=_close, icon=":material/arrow_back:", key="_run_close")
    st.header(plain(run.score.title), anchor=False)
    st.text(f"{run.score.operator}, session {run.session}, conversation {run.conversation}")
    try:
        who = Actor(email=run.score.operator)
        found = practice.debrief(shell.room().workspace, run.session, run.seeded, who)
    except CairnError as error:
        st.warning(plain(f"{error} {error.hint}".strip(), 500))
        return True
    if found is not None:
        debrief.draw(found, key="_results_debrief")
    return True
