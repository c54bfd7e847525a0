"""The end of a session: what is still open, scores and readiness, and the bundle somebody else can check."""

from pathlib import Path

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import data_table, stat_tiles
from cairnops.app.components.entries import entries, entry
from cairnops.app.pages.session_common import act, cases, operators, read, running
from cairnops.app.pages.session_run import finish
from cairnops.app.text import plain
from cairnops.app.views import words
from cairnops.app.views.board import undebriefed
from cairnops.app.views.debrief import Scores, scores
from cairnops.domain.duties import Duty
from cairnops.domain.sessions import Session
from cairnops.errors import CairnError
from cairnops.evidence import bundle, handover, verify, worksheet
from cairnops.evidence.payload import Report


def draw(held: Session) -> None:
    """Draw it."""
    workspace = shell.room().workspace
    found = scores(cases(held), operators(held), workspace.sessions.runs(held.name))
    closed = workspace.sessions.state(held.name) == "closed"
    if closed:
        _hand_over(held)
    _open(held)
    _scores(found)
    _cohort(found)
    _worksheet(held)
    if not closed:
        _hand_over(held)


# What is still open.


def _open(held: Session) -> None:
    if not running(held):
        return
    workspace = shell.room().workspace
    waiting = sum(e["final"] is None for e in workspace.ledger.deliveries(session=held.name))
    left = undebriefed(read(held))
    ownerless = sum(
        n["outcome"] == "question" and not n["owner"] for n in workspace.sessions.notes(held.name)
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header("Before you close", anchor=False)
        if any(opened and given.operator for given, opened in left):
            st.button("Debrief everybody", icon=":material/fact_check:", key="_all", on_click=_finish_all)
    entries(
        [
            entry(
                "sent",
                "Everything decided has arrived"
                if not waiting
                else f"{words.count(waiting, 'delivery')} on the way",
                tone="warn" if waiting else "good",
            ),
            entry(
                "left",
                "Every case has its debrief"
                if not left
                else f"{words.count(len(left), 'case')} without a debrief",
                tone="warn" if left else "good",
                lines=[
                    f"{words.person(given.operator) or 'Shared copy'}: {given.letter} {given.title}"
                    f"{'' if opened else ', never opened'}"
                    for given, opened in left
                ],
            ),
            entry(
                "owners",
                "Every question has an owner"
                if not ownerless
                else f"{words.count(ownerless, 'question')} without an owner",
                tone="warn" if ownerless else "good",
            ),
        ],
        key="_before",
        label="Before you close",
    )


def _finish_all() -> None:
    def all_of_them() -> None:
        held = shell.room().workspace.sessions.get(shell.focus())
        left = [given for given, opened in undebriefed(read(held)) if opened and given.operator]
        problems = []
        for given in left:
            try:
                finish(held.name, given, given.operator)
            except CairnError as error:
                problems.append(error)
        if problems:
            raise CairnError(f"{len(left) - len(problems)} debriefed. {problems[0]}", hint=problems[0].hint)
        shell.toast(f"{words.count(len(left), 'case')} debriefed", "good")

    act(all_of_them)


# Scores.


def _scores(found: Scores) -> None:
    st.header("Scores and readiness", anchor=False)
    done = sum(s.scenarios for s in found.standings)
    passed = sum(s.passed for s in found.standings)
    points = [s.points for s in found.standings if s.points is not None]
    stat_tiles(
        [
            {"label": "Ready", "value": f"{found.ready} of {len(found.standings)}", "hint": "operators"},
            {"label": "Passed", "value": f"{passed} of {done}", "hint": "cases debriefed"},
            {
                "label": "Points",
                "value": str(round(sum(points) / len(points))) if points else "—",
                "hint": "mean over operators",
            },
        ],
        key="_end_tiles",
    )
    data_table(
        [
            {"key": "operator", "label": "Operator"},
            *({"key": case.id, "label": case.short, "align": "right"} for case in found.cases),
            {"key": "points", "label": "Points", "align": "right"},
            {"key": "state", "label": "Readiness"},
            {"key": "practise", "label": "Practise", "mono": True},
        ],  # type: ignore[list-item]
        [
            {
                "id": s.operator,
                "cells": {
                    "operator": {"text": words.person(s.operator), "title": s.operator},
                    **{
                        case.id: {
                            "text": cell.text,
                            "tone": cell.tone if cell.text != "—" else "",
                            "title": cell.hint,
                        }
                        for case, cell in zip(found.cases, s.cells, strict=True)
                    },
                    "points": "—" if s.points is None else s.points,
                    "state": {"text": s.state, "tone": s.tone},
                    "practise": ", ".join(s.practise) or "—",
                },
            }  # type: ignore[typeddict-item]
            for s in found.standings
        ],
        key="_scores",
        caption="Scores",
        empty="Nobody takes part.",
    )
    st.caption(found.bar)


def _cohort(found: Scores) -> None:
    ran = [c for c in found.cohort if c.runs]
    if not ran:
        return
    st.header("The cohort, scenario by scenario", anchor=False)
    data_table(
        [
            {"key": "case", "label": "Scenario"},
            {"key": "passed", "label": "Passed", "align": "right"},
            {"key": "points", "label": "Mean points", "align": "right"},
            {"key": "missed", "label": "Missed most"},
        ],
        [
            {
                "id": c.case.id,
                "cells": {
                    "case": f"{c.case.letter} {c.case.title}".strip(),
                    "passed": {"text": f"{c.passed} of {c.runs}", "sort": c.passed / c.runs},
                    "points": "—" if c.points is None else c.points,
                    "missed": c.missed or "nothing",
                },
            }
            for c in ran
        ],
        key="_cohort",
        caption="The cohort",
    )


# What is handed over.


def _worksheet(held: Session) -> None:
    rows = worksheet.rows(shell.room().workspace, held.name)
    letters = {case.id: case.short for case in cases(held)}
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header(f"Worksheet, {words.count(len(rows), 'row')}", anchor=False)
        st.download_button(
            "Markdown",
            lambda: worksheet.markdown(f"{held.title}: {held.name}", rows),
            file_name="worksheet.md",
            mime="text/markdown",
            key="_sheet_md",
            on_click="ignore",
            icon=":material/download:",
        )
    data_table(
        [
            {"key": "at", "label": "Time (UTC)"},
            {"key": "who", "label": "Participant"},
            {"key": "scenario", "label": "Scenario"},
            {"key": "sla", "label": "SLA timer"},
            {"key": "decision", "label": "Decision", "align": "right"},
            {"key": "outcome", "label": "Outcome"},
            {"key": "follow_up", "label": "Follow-up"},
        ],
        [
            {
                "id": str(number),
                "cells": {
                    "at": row.at[11:19],
                    "who": {"text": words.person(row.participant), "title": row.participant},
                    "scenario": letters.get(row.scenario, row.scenario),
                    "sla": row.sla,
                    "decision": row.decision,
                    "outcome": row.outcome,
                    "follow_up": row.follow_up,
                },
            }
            for number, row in enumerate(rows, 1)
        ],
        key="_sheet",
        caption="Worksheet",
        empty="Nothing was decided or noted yet.",
    )


def _hand_over(held: Session) -> None:
    room = shell.room()
    st.header("Hand over", anchor=False)
    if running(held):
        st.text(
            "Closing ends the work in this session, seals the log, writes the bundle and checks it at once."
        )
        st.button("Close the session", type="primary", key="_close", on_click=_ask)
        return
    if room.workspace.sessions.state(held.name) != "closed":
        st.text("The bundle is written when the facilitator closes the session.")
        return
    target = bundle.default_name(room.workspace, held.name)
    if not target.is_file():
        st.text("There is no bundle yet.")
    else:
        _bundle(target)
    if shell.allowed(Duty.FACILITATE):
        st.button(
            "Write the bundle again" if target.is_file() else "Write the bundle",
            key="_again",
            on_click=_ended,
            args=(held.name,),
            icon=":material/refresh:",
        )


def _bundle(target: Path) -> None:
    report = _checked(target)
    counts = report.counts
    entries(
        [
            entry(
                "verdict",
                _verdict(report),
                tone="good" if not report.found else "bad" if _broken(report) else "warn",
                lines=(
                    f"{report.claims} claims checked · {counts.get('decisions', 0)} decisions · "
                    f"{words.count(counts.get('worksheetRows', 0), 'worksheet row')} · "
                    f"{words.count(counts.get('results', 0), 'result')}",
                    f"Fingerprint {report.fingerprint}",
                ),
            ),
            *(
                entry(f"fault{n}", f"{fault.where}: {fault.what}", tone="bad", codes=(fault.code,))
                for n, fault in enumerate(report.faults)
            ),
            *(entry(f"proved{n}", text, tone="good", chip="proved") for n, text in enumerate(report.proved)),
            *(
                entry(f"unproved{n}", text, tone="warn", chip="not proved")
                for n, text in enumerate(report.unproved)
            ),
        ],
        key="_verified",
        label="What was checked",
    )
    st.download_button(
        f"Download {target.name}",
        target.read_bytes,
        file_name=target.name,
        mime="application/zip",
        key="_bundle",
        type="primary",
        on_click="ignore",
        icon=":material/download:",
    )
    left = sorted(path.name for path in target.parent.iterdir() if path.is_file() and path != target)
    st.caption(
        plain(f"Beside it in {target.parent.parent.name}/{target.parent.name}: {', '.join(left)}", limit=500)
    )


def _broken(report: Report) -> int:
    """Findings that are not about evidence nobody made."""
    return report.found - sum(fault.code == "missing" for fault in report.faults)


def _verdict(report: Report) -> str:
    if broken := _broken(report):
        return f"{words.count(broken, 'finding')}: this bundle does not hold"
    if report.found:
        return (
            f"Verified, nothing was altered; {words.count(report.found, 'thing')} it should hold never made"
        )
    return "Verified: whole, and nothing was altered, dropped or added"


def _checked(target: Path) -> Report:
    """The bundle on disk, checked once for as long as it is the same file."""
    ss, stamp = st.session_state, (str(target), target.stat().st_mtime_ns)
    if ss.get("_verified_of") != stamp:
        ss["_verified_report"], ss["_verified_of"] = verify.verify(target), stamp
    report: Report = ss["_verified_report"]
    return report


def _ask() -> None:
    shell.show("close_session", name=shell.focus())
    shell.refresh("overlay")


@shell.dialog("close_session")
def _dialog(name: str) -> None:
    with shell.modal("Close the session?"):
        st.text(f"Nobody can work in {name} any more. The log is sealed and the bundle is written.")
        held = shell.room().workspace.sessions.get(name)
        if left := len(undebriefed(read(held))):
            st.text(f"{words.count(left, 'case')} without a debrief will have no result.")
        with st.container(horizontal=True):
            st.button("Close and hand over", type="primary", key="_close_yes", on_click=_ended, args=(name,))
            st.button("Cancel", type="tertiary", key="_close_no", on_click=shell.close)


def _ended(name: str) -> None:
    room = shell.room()

    def end() -> None:
        done = handover.end(room.workspace, name, shell.me(), room.now())
        said = (
            "and verified" if not done.report.found else f"with {words.count(done.report.found, 'finding')}"
        )
        shell.toast(f"Bundle written {said}", "good")

    shell.dismiss()
    act(end, everything=True)
