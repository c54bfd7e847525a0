"""The QA page: find decisions, open one with its proof, take them along, hold a worksheet against them."""

import io
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from cairnops.app import shell
from cairnops.app.components import Row, banners, copy_button, data_table, stat_tiles
from cairnops.app.components.record import Field, record
from cairnops.app.text import plain
from cairnops.app.views import decisions as views
from cairnops.app.views import words
from cairnops.app.views.decisions import DELIVERY, Opened, Wanted
from cairnops.app.views.reconcile import SHOWN, Reconciled, reconciled
from cairnops.domain import duties
from cairnops.domain.duties import Duty
from cairnops.errors import CairnError
from cairnops.evidence import exports, inert, proofs
from cairnops.evidence.proofs import Trust
from cairnops.evidence.report_rows import minute
from cairnops.telemetry.writer import export_name, write_ndjson
from cairnops.workspace import Workspace

#: Rows of the list on the page; the export has all of them.
_ROWS = 300
_PARTS = ("Decisions", "Reconcile a worksheet")

ss = st.session_state


def page() -> None:
    """Draw the page."""
    st.title("Decisions", anchor=False)
    if not shell.allowed(Duty.REVIEW):
        st.error(plain(duties.refusal(shell.me().role, Duty.REVIEW)), icon=":material/lock:")
        return
    _live()


@shell.live
def _live() -> None:
    number = shell.param("decision")
    if number:
        _one(number)
        return
    part = st.segmented_control(
        "What to do", _PARTS, default=_PARTS[0], key="_decisions_part", label_visibility="collapsed"
    )
    _reconcile() if part == _PARTS[1] else _list()


Everything = tuple[dict[str, dict[str, Any]], tuple[views.Row, ...]]
_kept: dict[Path, tuple[int, Everything]] = {}


def _all() -> Everything:
    """Every record by uid, and the rows of the list; read again only when something was committed."""
    workspace = shell.room().workspace
    newest = workspace.ledger.newest()
    at, found = _kept.get(workspace.root, (-1, ({}, ())))
    if at != newest:
        records = exports.rows(workspace.ledger, "decisions")
        found = {r["uid"]: r for r in records}, views.rows(records, workspace.ledger.deliveries())
        _kept.clear()
        _kept[workspace.root] = newest, found
    return found


# The list.


def _list() -> None:
    records, every = _all()
    wanted = _wanted(every)
    some = views.select(every, wanted)
    in_scope = [r for r in every if not wanted.scope or r.scope == wanted.scope]
    stat_tiles(
        [{"label": c.label, "value": c.value, "hint": c.hint, "tone": c.tone} for c in views.counts(some, in_scope)],
        key="_decisions_tiles",
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        more = f", the newest {_ROWS} shown" if len(some) > _ROWS else ""
        st.text(f"{len(some):,} of {len(in_scope):,}{more}", width="stretch")
        uids = [r.uid for r in reversed(some)]
        st.download_button(
            "Export as NDJSON",
            lambda: _ndjson([records[uid] for uid in uids]),
            file_name=export_name(exports.PREFIXES["decisions"], shell.room().now()),
            mime="application/x-ndjson",
            on_click="ignore",
            disabled=not some,
            icon=":material/download:",
            key="_decisions_export",
        )
        if shell.allowed(Duty.FACILITATE):
            unsealed = shell.room().workspace.seals.unsealed()
            st.button(
                f"Seal {unsealed:,}" if unsealed else "All sealed",
                on_click=_seal,
                disabled=not unsealed,
                icon=":material/lock:",
                key="_decisions_seal",
            )
    shell.problem()
    # Where everybody is of one house, its name in every row only takes room.
    short = len({r.who.partition("@")[2] for r in every}) == 1
    data_table(
        [
            {"key": "id", "label": "Id"},
            {"key": "at", "label": "When (UTC)", "mono": True},
            {"key": "who", "label": "By"},
            {"key": "what", "label": "Action"},
            {"key": "case", "label": "Conversation", "mono": True},
            {"key": "delivery", "label": "Delivery"},
            {"key": "edited", "label": "Suggestion"},
            {"key": "codes", "label": "Rules that spoke"},
            {"key": "session", "label": "Session"},
            {"key": "index", "label": "Log index", "align": "right"},
        ],
        [_row(r, short) for r in some[:_ROWS]],
        key="_decisions_table",
        caption="Decisions, newest first",
        on_open=_open,
        empty="No decision fits." if every else "Nobody has decided anything yet.",
    )


def _row(r: views.Row, short: bool) -> Row:
    word, tone = DELIVERY[r.delivery]
    how = "–" if r.edited is None else "edited" if r.edited else "unchanged"
    return {
        "id": str(r.number),
        "cells": {
            "id": {"text": f"#{r.number}", "sort": r.number},
            "at": {"text": minute(r.at), "sort": r.at},
            "who": {"text": r.who.partition("@")[0], "title": r.who} if short else r.who,
            "what": _unbroken(r.what),
            "case": r.conversation,
            "delivery": {"text": word, "tone": tone, "title": "; ".join(r.effects)},  # type: ignore[typeddict-item]
            "edited": {"text": how, "tone": "info" if r.edited else ""},
            "codes": {"text": ", ".join(r.codes), "tone": "warn", "title": "overridden"}
            if r.overridden
            else ", ".join(r.codes),
            "session": r.session,
            "index": "" if r.index is None else r.index,
        },
    }


def _unbroken(text: str) -> str:
    """Kept on one line of its cell."""
    return text.replace(" ", "\u00a0")


def _wanted(every: tuple[views.Row, ...]) -> Wanted:
    """The filters, and what they are set to."""
    there = views.choices(every)
    with st.container(border=True, key="decisions_filters"):
        text = st.text_input(
            "Find",
            type="search",
            live="150ms",
            key="_decisions_text",
            placeholder="Decision id, uid or conversation; several with commas",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            session = _select("Session", there.sessions, key="_decisions_session", start=shell.focus())
            who = _select("By", there.people, key="_decisions_who")
            delivery = _select(
                "Delivery",
                [key or "none" for key in DELIVERY],
                key="_decisions_delivery",
                named=lambda key: DELIVERY[key.removeprefix("none")][0].capitalize(),
            )
            # What is asked for less often is not drawn until it is: each list costs a browser its time.
            rarely = {"action": "", "edited": "", "code": "", "scope": "ops"}
            used = sum(ss.get(f"_decisions_{name}", usual) != usual for name, usual in rarely.items())
            with st.popover(
                f"More filters ({used})" if used else "More filters",
                icon=":material/tune:",
                key="_decisions_more",
            ):
                wide = partial(_select, width="stretch")
                action = wide("Action", there.actions, key="_decisions_action", named=views.action_name)
                edited = wide("Suggestion", views.EDITED, key="_decisions_edited", named=str.capitalize)
                code = wide("Rule", there.codes, key="_decisions_code")
                scope = wide(
                    "Scope",
                    ("ops", "build"),
                    key="_decisions_scope",
                    start="ops",
                    named={"ops": "Decided", "build": "Suggested"}.__getitem__,
                )
    return Wanted(
        scope=scope, session=session, who=who, action=action, delivery=delivery, edited=edited, code=code, text=text
    )  # fmt: skip


def _select(
    label: str, options: Any, *, key: str, start: str = "", named: Any = str, width: Any = 145
) -> str:
    """A filter; `All` is the empty text, and a choice that no longer exists falls back to it."""
    offered = ["", *options]
    ss.setdefault(key, start if start in offered else "")
    if ss[key] not in offered:
        offered.append(ss[key])
    return str(
        st.selectbox(
            label,
            offered,
            key=key,
            width=width,
            format_func=lambda one: inert.one_line(named(one)) if one else "All",
        )
    )


def _ndjson(records: list[dict[str, Any]]) -> bytes:
    """The very bytes `cairnops decisions export` writes for these records."""
    with tempfile.TemporaryDirectory() as folder:
        return write_ndjson(Path(folder) / "export.ndjson", records).path.read_bytes()


def _open(number: str) -> None:
    shell.clear_problem()
    shell.set_param("decision", number)
    shell.refresh("page")


def _seal() -> None:
    room = shell.room()
    with shell.guard():
        if not shell.allowed(Duty.FACILITATE):
            raise CairnError(duties.refusal(shell.me().role, Duty.FACILITATE))
        sealed = room.workspace.seal(shell.me(), room.now())
        shell.toast(f"Sealed {words.count(sealed.added, 'decision')}", "good")
        room.changed()
    shell.refresh("page", "overlay")


# One of them.


def _one(number: str) -> None:
    records, every = _all()
    wanted = next((r for r in every if str(r.number) == number or r.uid == number), None)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "All decisions", on_click=_open, args=("",), icon=":material/arrow_back:", key="_decision_back"
        )
        if wanted is not None:
            of_scope = [r for r in every if r.scope == wanted.scope]
            place = of_scope.index(wanted)
            for label, at in (("Newer", place - 1), ("Older", place + 1)):
                there = 0 <= at < len(of_scope)
                st.button(
                    label,
                    on_click=_open,
                    args=(str(of_scope[at].number) if there else "",),
                    disabled=not there,
                    type="tertiary",
                    key=f"_decision_{label}",
                )
    shell.problem()
    if wanted is None:
        st.warning(plain(f"There is no decision {number}."), icon=":material/search_off:")
        return
    kept = records[wanted.uid]
    shown = views.opened(kept, shell.room().workspace.ledger.deliveries(decision=wanted.uid))
    st.header(plain(shown.title), anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        record(_fields(shown.facts), key="_decision_facts", label="What was decided")
    with right:
        _texts(shown)
    _verdicts(shown)
    _clocks(shown)
    _tries(shown)
    _fixed(shown, kept)
    _proof(shown, kept)


def _fields(pairs: views.Pairs, *, mono: bool = False) -> list[Field]:
    return [{"name": name, "text": value, "mono": mono} for name, value in pairs]


def _texts(shown: Opened) -> None:
    fields: list[Field] = []
    if shown.suggested:
        fields.append({"name": "Suggested", "text": shown.suggested, "quoted": True})
    if shown.final:
        fields.append({"name": "Approved", "text": shown.final, "quoted": True})
    if shown.diff:
        stretches: Any = [{"kind": kind, "text": text} for kind, text in shown.diff]
        fields.append({"name": "What was changed", "text": "", "diff": stretches, "quoted": True})
    if shown.text_said:
        fields.append({"name": "How it came about", "text": shown.text_said})
    fields += [{"name": f"Suggested: {name.lower()}", "text": value} for name, value in shown.origin]
    record(fields, key="_decision_texts", label="Suggestion against what was approved")


def _verdicts(shown: Opened) -> None:
    st.subheader("Guardrails", anchor=False)
    if not shown.verdicts:
        st.text("No guardrail spoke.")
        return
    banners(
        [
            {
                "code": v.code,
                "severity": v.severity,
                "sentence": v.sentence,
                "threshold": v.threshold,
                "way_out": v.way_out,
                "explanation": v.explanation,
                "overridden": v.overridden,
            }
            for v in shown.verdicts
        ],
        key="_decision_verdicts",
    )


def _clocks(shown: Opened) -> None:
    st.subheader("SLA at that moment", anchor=False)
    data_table(
        [
            {"key": "clock", "label": "Clock"},
            {"key": "force", "label": "In force"},
            {"key": "started", "label": "Started (UTC)", "mono": True},
            {"key": "waited", "label": "Waited", "align": "right"},
            {"key": "due", "label": "Due (UTC)", "mono": True},
            {"key": "state", "label": "State"},
        ],
        [
            {
                "id": c.name,
                "cells": {
                    "clock": c.name,
                    "force": "yes" if c.in_force else "no",
                    "started": c.started,
                    "waited": c.waited,
                    "due": c.due,
                    "state": {"text": c.state, "tone": "bad" if c.breached else "good"},
                },
            }
            for c in shown.clocks
        ],
        key="_decision_clocks",
        caption="SLA clocks at the moment of the decision",
        sort=False,
        empty="No clock was read for this one.",
    )


def _tries(shown: Opened) -> None:
    st.subheader("Deliveries", anchor=False)
    data_table(
        [
            {"key": "effect", "label": "Effect"},
            {"key": "attempt", "label": "Attempt", "align": "right"},
            {"key": "at", "label": "When (UTC)", "mono": True},
            {"key": "answer", "label": "Answer"},
            {"key": "took", "label": "Took", "align": "right"},
            {"key": "ended", "label": "Ended"},
        ],
        [
            {
                "id": f"{place}",
                "cells": {
                    "effect": t.effect,
                    "attempt": t.attempt or "",
                    "at": t.at,
                    "answer": t.answer,
                    "took": t.took,
                    "ended": {"text": t.ended, "tone": t.tone if t.ended else ""},  # type: ignore[typeddict-item]
                },
            }
            for place, t in enumerate(shown.tries)
        ],
        key="_decision_tries",
        caption="Every attempt to deliver what was decided",
        sort=False,
        empty="Nothing was to be sent.",
    )


def _fixed(shown: Opened, kept: dict[str, Any]) -> None:
    record(_fields(shown.fixed, mono=True), key="_decision_fixed", label="What fixes it")
    left, right, _ = st.columns([1, 1, 2])
    with left:
        copy_button(shown.uid, "Copy the uid", key="_decision_copy_uid")
    with right:
        copy_button(_ndjson([kept]).decode(), "Copy the record", key="_decision_copy_record")


def _proof(shown: Opened, kept: dict[str, Any]) -> None:
    st.subheader("Proof", anchor=False)
    workspace = shell.room().workspace
    if shown.index is None:
        st.text("Not sealed yet: until then nothing proves that it was not changed later.")
        if shell.allowed(Duty.FACILITATE):
            st.button("Seal the log now", on_click=_seal, icon=":material/lock:", key="_decision_seal")
        else:
            st.text("A lead, manager or admin seals the log.")
        return
    try:
        made = proofs.prove(workspace, shown.uid).text
        row = _ndjson([kept])
        checked = _checked(workspace, made.encode(), row, shown.number)
    except CairnError as error:
        st.error(plain(f"{error} {error.hint}".strip(), 500), icon=":material/error:")
        return
    proved: list[Field] = [{"name": "Proved", "text": one} for one in checked.proved]
    proved += [{"name": "Wrong", "text": f.what} for f in checked.findings]
    proved += [{"name": "Not proved by it", "text": one} for one in checked.unproved]
    record(
        [
            *proved,
            {"name": "Log", "text": f"{checked.origin}, {checked.size:,} records"},
            {"name": "Root", "text": checked.root, "mono": True},
            {"name": "Signed by", "text": checked.fingerprint or "no signature was found true", "mono": True},
        ],
        key="_decision_proved",
        label=f"Checked a moment ago: {checked.verdict if checked.found else 'no fault found'}",
    )
    name = f"decision-{shown.number}"
    copy_button(made, "Copy the proof", key="_decision_copy_proof")
    with st.container(horizontal=True):
        for label, data, file, icon in (
            ("Proof", made, f"{name}.tlog-proof", "download"),
            ("Record", row, f"{name}.ndjson", "download"),
            ("Public key", _public_key(workspace), proofs.PUBLIC_KEY, "key"),
        ):
            st.download_button(
                label,
                data,
                file,
                "text/plain",
                on_click="ignore",
                icon=f":material/{icon}:",
                key=f"_decision_{label}",
            )
    st.text("Anybody can check it offline:")
    st.code(
        f"cairnops ledger verify {name}.ndjson --proof {name}.tlog-proof --key {proofs.PUBLIC_KEY}",
        language=None,
        wrap_lines=True,
    )
    with st.expander("The proof"):
        st.code(made, language=None)


def _checked(workspace: Workspace, proof: bytes, row: bytes, number: int) -> proofs.Verification:
    """The proof checked as a stranger would, who has the record and the public key from here."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"decision-{number}.ndjson"
        file.write_bytes(row)
        trust = Trust(beside=_public_key(workspace), rotations=proofs.rotations(workspace).encode())
        return proofs.verify_proof(proof, subject=f"decision {number}", record=file, trust=trust)


def _public_key(workspace: Workspace) -> str:
    return str(workspace.signer().key)


# A worksheet against the log.


def _reconcile() -> None:
    st.text(
        "Paste the worksheet people filled in (Markdown, CSV, or just ids), or give the file. Every row is held "
        "against the log of this workspace, in both directions."
    )
    st.text_area(
        "Worksheet", key="_reconcile_text", height=200, placeholder="| Decision | Conversation | Time |"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        given = st.file_uploader(
            "or a file", type=["md", "csv", "txt"], key="_reconcile_file", max_upload_size=8, width=360
        )
        names = [row["name"] for row in shell.room().workspace.sessions.all()]
        ss.setdefault("_reconcile_session", shell.focus() if shell.focus() in names else "")
        session = st.selectbox(
            "It is about session",
            ["", *names],
            key="_reconcile_session",
            format_func=lambda one: inert.one_line(one) or "Whatever it names",
            width=220,
        )
        st.button(
            "Compare with the log",
            type="primary",
            on_click=_compare,
            args=(given, session),
            icon=":material/rule:",
            key="_reconcile_go",
        )
    shell.problem()
    if found := ss.get("_reconciled"):
        _found(*found)


def _compare(given: Any, session: str) -> None:
    # DuckDB comes with it; the operator's page is not to wait for that.
    from cairnops.evidence import reconcile, reconcile_formats

    ss.pop("_reconciled", None)
    workspace = shell.room().workspace
    with shell.guard():
        if given is not None:
            stream = io.BytesIO(given.getvalue())
            stream.name = given.name
        elif text := ss.get("_reconcile_text", "").strip():
            stream = io.BytesIO(f"{text}\n".encode())
            stream.name = "worksheet"
        else:
            raise CairnError("There is no worksheet yet.", hint="Paste one, or choose a file.")
        # Links of a worksheet from elsewhere are looked up among the session's artifacts and nowhere else.
        roots = [workspace.artifacts / session] if session else []
        result = reconcile.reconcile(stream, workspace=workspace, session=session, roots=roots)
        ss["_reconciled"] = (reconciled(result), reconcile_formats.as_csv(result))
        shell.announce(f"{ss['_reconciled'][0].word}: {ss['_reconciled'][0].said}")
    shell.refresh("page", "overlay")


def _found(result: Reconciled, csv: str) -> None:
    show = {"good": st.success, "bad": st.error, "warn": st.warning}[result.tone]
    show(plain(f"{result.word}. {result.said}", 400))
    if result.read:
        st.text(result.read)
    for note in result.notes:
        st.text(note)
    if result.findings:
        st.header("Findings", anchor=False)
        data_table(
            [
                {"key": "what", "label": "What does not fit"},
                {"key": "line", "label": "Line", "align": "right"},
                {"key": "decision", "label": "Decision"},
                {"key": "worksheet", "label": "Worksheet says"},
                {"key": "log", "label": "Log says"},
                {"key": "todo", "label": "What to do"},
            ],
            [
                {
                    "id": str(place),
                    "cells": {
                        "what": {"text": f.code, "tone": "bad", "title": f.meaning},
                        "line": int(f.where) if f.where else "",
                        "decision": f.decision,
                        "worksheet": f.worksheet,
                        "log": f.log,
                        "todo": f.todo,
                    },
                }
                for place, f in enumerate(result.findings[:SHOWN])
            ],
            key="_reconcile_findings",
            caption="Findings",
        )
        st.download_button("All findings as CSV", csv, "reconciliation.csv", "text/csv", on_click="ignore",
                           icon=":material/download:", key="_reconcile_csv")  # fmt: skip
    if result.claims:
        st.header("Rows of the worksheet", anchor=False)
        data_table(
            [
                {"key": "line", "label": "Line", "align": "right"},
                {"key": "written", "label": "Worksheet"},
                {"key": "state", "label": "State"},
                {"key": "by", "label": "Met by"},
                {"key": "log", "label": "Log"},
                {"key": "case", "label": "Conversation", "mono": True},
                {"key": "drift", "label": "Drift", "align": "right"},
            ],
            [
                {
                    "id": str(place),
                    "cells": {
                        "line": c.line,
                        "written": c.written,
                        "state": {"text": c.state, "tone": c.tone},  # type: ignore[typeddict-item]
                        "by": c.met_by,
                        "log": c.number,
                        "case": c.conversation,
                        "drift": c.drift,
                    },
                }
                for place, c in enumerate(result.claims[:SHOWN])
            ],
            key="_reconcile_rows",
            caption="What became of every row",
        )
