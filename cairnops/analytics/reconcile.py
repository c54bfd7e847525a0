"""Whether a worksheet and a log tell the same story: which claim meets which decision, by which key."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from cairnops.analytics import dialects
from cairnops.analytics.percentiles import percentile
from cairnops.analytics.reconcile_log import NAMED, LogRow, Part, Source
from cairnops.analytics.reconcile_result import TOLERANCE_MS, Finding, Match, Reconciliation, spell, stamp
from cairnops.telemetry.cells import Moment
from cairnops.telemetry.sheets import Row, Sheet

_SUCCESSES = {*dialects.SUCCESS_WORDS, "delivered"}


class _Entity:
    """One decision, out of however many logs."""

    __slots__ = ("facts", "rows")

    def __init__(self, row: LogRow):
        self.rows = [row]
        #: Of every fact the first thing any log says about it.
        self.facts = row

    def add(self, row: LogRow) -> None:
        """Another row about it."""
        self.rows.append(row)
        told = (a if a or a == 0 else b for a, b in zip(self.facts, row, strict=True))
        self.facts = LogRow._make(told)

    @property
    def row(self) -> LogRow:
        return self.rows[0]

    @property
    def at(self) -> int | None:
        return self.facts.at

    @property
    def name(self) -> str:
        return self.facts.number or self.facts.uid or f"of {self.facts.conversation}"


def compare(
    sheets: Sequence[Sheet],
    sources: Sequence[Source],
    *,
    session: str = "",
    scope: str = "ops",
    tolerance_ms: int = TOLERANCE_MS,
) -> Reconciliation:
    """Match every row of the worksheets with the logs: by uid, then decision id, then natural key.

    The natural key is conversation, action, actor and a time within `tolerance_ms`; what one side does not say is
    not compared, but the conversation, or actor and action, must agree. Decisions count as missing from the
    worksheet only in the part it answers for: `session`, else the sessions its decisions belong to, else its
    stretch of time. Where no log holds decisions, outcomes of deliveries stand for them.
    """
    accounts = tuple(s.account for s in sources)
    out = Reconciliation(sheets=tuple(sheets), sources=accounts, tolerance_ms=tolerance_ms)
    unreadable = [
        Finding(
            code="unreadable_row",
            sheet=x.sheet,
            line=x.line,
            decision="",
            worksheet=f"{x.preview}: {x.detail}",
        )
        for sheet in sheets
        for x in sheet.rejects
    ]
    out = out.with_findings(unreadable)
    rows = [row for sheet in sheets for row in sheet.rows]
    if not any(a.rows or a.removed for a in accounts):
        return replace(out, nothing="The log holds no decisions: there is nothing to compare with.")
    if not rows and not session:
        return replace(out, nothing="The worksheet names no decision and no conversation.")
    work = _Work(rows, sources, session, scope, tolerance_ms)
    work.match()
    work.judge()
    result = replace(
        out,
        rows=tuple(work.matches()),
        part=work.part,
        drift_median_ms=work.drift_median,
        notes=tuple(work.notes),
    ).with_findings(work.findings)
    result.counts.update(work.unnamed)
    return result


class _Work:
    def __init__(self, rows: list[Row], sources: Sequence[Source], session: str, scope: str, tolerance: int):
        self.rows, self.sources = rows, sources
        self.session, self.scope, self.tolerance = session, scope, tolerance
        self.findings: list[Finding] = []
        #: Findings that are only counted.
        self.unnamed: Counter[str] = Counter()
        self.notes: list[str] = []
        self.part: Part | None = None
        self.drift_median: int | None = None
        #: No log holds decisions; what happened to their deliveries stands for them.
        self.stand_in = not any(s.account.decisions for s in sources)
        self.judges = [s for s in sources if s.account.rows and s.account.decisions != self.stand_in]
        self.met: dict[int, tuple[_Entity, str]] = {}
        #: Every decision that has a number asked for.
        self.by_number: dict[str, list[_Entity]] = defaultdict(list)
        self.by_uid: dict[str, _Entity] = {}
        self.events: dict[str, list[LogRow]] = defaultdict(list)

    # --- matching ---------------------------------------------------------------------------------------------------

    def match(self) -> None:
        """Climb the ladder, a rung for all rows at a time."""
        numbers = {row.number for row in self.rows if row.number}
        uids = {row.uid for row in self.rows if row.uid}
        self._learn([found for s in self.sources for found in s.find(numbers, uids)])
        for place, row in enumerate(self.rows):
            if row.uid and (entity := self.by_uid.get(row.uid)):
                self.met[place] = entity, "uid"
            elif row.number and (entities := self.by_number.get(row.number)):
                alone = len(entities) == 1
                best = entities[0] if alone else min(entities, key=lambda e: self._unlike(row, e))
                self.met[place] = best, "decision-id"
        self._by_nature()
        more = {e.facts.number for e, _ in self.met.values()} - numbers - {""}
        if more:
            self._complete([found for s in self.sources for found in s.find(more, set())])

    def _learn(self, found: list[LogRow]) -> None:
        decisions = [r for r in found if r.event == self.stand_in]
        for row in found:
            if row.event:
                self.events[row.number].append(row)
        for entity in _entities(decisions, self.tolerance, self.stand_in):
            self.by_number[entity.facts.number].append(entity)
            if not self.stand_in and (uid := entity.facts.uid):
                self.by_uid[uid] = entity

    def _complete(self, found: list[LogRow]) -> None:
        """What other logs, which know only numbers, say about decisions met by another key."""
        mine = {e.facts.number: e for e, _ in self.met.values()}
        for row in sorted(found, key=lambda r: r.order):
            if row.event:
                self.events[row.number].append(row)
            elif not row.uid and _one(e := mine[row.number], row, self.tolerance) and row not in e.rows:
                e.add(row)

    def _unlike(self, row: Row, e: _Entity) -> tuple[Any, ...]:
        """How badly a decision of the right number fits; the least is taken."""
        wanted = row.session or self.session
        drift = _drift(row.at, e.at)
        about = e.facts.conversation
        return (
            bool(wanted) and e.facts.session not in ("", wanted),
            e.facts.scope not in ("", row.scope or self.scope),
            2 if row.conversation and about and about != row.conversation else not about,
            drift is None,
            abs(drift or 0),
            e.row.order,
        )

    def _by_nature(self) -> None:
        left = [
            (place, row)
            for place, row in enumerate(self.rows)
            if place not in self.met
            and not row.absent
            and row.at
            and (row.conversation or (row.actor and row.action))
        ]
        if not left or self.stand_in:
            return
        about = {row.conversation for _, row in left if row.conversation}
        spans = [self._span(row.at) for _, row in left if row.at and row.actor and row.action]
        near = [found for s in self.judges for found in s.about(about, spans)]
        taken = {id(e) for e, _ in self.met.values()}
        known = {(e.facts.uid, "" if e.facts.uid else e.facts.number) for e, _ in self.met.values()}
        entities = [
            e
            for e in _entities(near, self.tolerance, False)
            if (e.facts.uid, "" if e.facts.uid else e.facts.number) not in known
            and e.facts.scope in ("", self.scope)
        ]
        by_about: dict[str, list[_Entity]] = defaultdict(list)
        for e in entities:
            by_about[e.facts.conversation].append(e)
        pairs = []
        for place, row in left:
            # A decision whose log names no conversation may still be the one.
            for e in [*by_about[row.conversation], *by_about[""]] if row.conversation else entities:
                drift = _drift(row.at, e.at)
                if drift is not None and abs(drift) <= self.tolerance and self._natural(row, e):
                    pairs.append((abs(drift), place, e.row.order, e))
        for _, place, _, e in sorted(pairs, key=lambda p: p[:3]):
            if place not in self.met and id(e) not in taken:
                taken.add(id(e))
                self.met[place] = e, "natural-key"
                self.by_number[e.facts.number].append(e)

    def _span(self, at: Moment) -> tuple[int, int]:
        return at.at - self.tolerance, at.at + at.width - 1 + self.tolerance

    def _natural(self, row: Row, e: _Entity) -> bool:
        wanted = row.session or self.session
        if wanted and e.facts.session not in ("", wanted):
            return False
        about, actor, action = (
            e.facts.conversation,
            e.facts.actor,
            e.facts.action.removeprefix("chatwoot."),
        )
        same_kind = ("@" in row.actor) == ("@" in actor)
        pairs = [
            (row.conversation, about),
            (row.actor if same_kind else "", actor),
            (row.action.lower().replace(" ", "_").removeprefix("chatwoot."), action.lower()),
        ]
        told = [(a, b) for a, b in pairs if a and b]
        if any(a != b for a, b in told):
            return False
        return bool(row.conversation and about) or len(told) == 2

    # --- judging ----------------------------------------------------------------------------------------------------

    def matches(self) -> Iterator[Match]:
        """What became of every row."""
        for place, row in enumerate(self.rows):
            entity, method = self.met.get(place, (None, ""))
            state = "matched" if entity else "no decision" if row.absent or not row.claims else "missing"
            if state == "missing" and self._removed(row.number, row.uid):
                state = "removed"
            yield Match(
                sheet=row.sheet,
                line=row.line,
                written=row.written,
                state=state,
                method=method,
                number=entity.facts.number if entity else row.number,
                uid=entity.facts.uid if entity and not self.stand_in else row.uid,
                conversation=(entity.facts.conversation if entity else "") or row.conversation,
                sources=self._sources(entity) if entity else (),
                drift_ms=_drift(row.at, entity.at) if entity else None,
            )

    def judge(self) -> None:
        """Find what does not fit."""
        self._part()
        first: dict[int, Row] = {}
        drifts = []
        for place, row in enumerate(self.rows):
            if place in self.met:
                entity, method = self.met[place]
                drift = self._judge_pair(row, entity, method)
                if drift:
                    drifts.append(drift)
                before = first.setdefault(id(entity), row)
                if before is not row:
                    self._add(
                        "duplicate", row, entity.name, _row_said(row), f"named already {_line(before, row)}"
                    )
            elif row.claims:
                name, gone = row.number or row.uid, self._removed(row.number, row.uid)
                logs = ", ".join(s.account.name for s in self.judges) or "no log"
                for where, at in gone.items():
                    self._add("removed_by_retention", row, name, _row_said(row), _removed_on(at), where)
                if not gone:
                    self._add("missing_in_log", row, name, _row_said(row), "no such decision", logs)
        self._log_duplicates([e for e, _ in self.met.values()])
        if drifts:
            self.drift_median = int(percentile(sorted(drifts), 50, "nearest_rank"))
            self._tell_drift(drifts)
        if self.part is not None:
            self._unlisted(self._unexpected())
        else:
            self.notes.append(
                "What the worksheet leaves out was not looked for: it has no times and no session (--session)."
            )
        for source in self.sources:
            a = source.account
            if not a.rows and any(other.account.rows for other in self.sources):
                fullest = max((o.account for o in self.sources), key=lambda o: o.rows)
                log = f"no rows; {fullest.name} has {fullest.rows:,}"
                self.findings.append(Finding(code="empty_log", log=log, source=a.name))
            if a.rejects:
                self.notes.append(
                    f"{a.name}: {a.rejects} lines cannot be read; a decision on one of them is missing."
                )
        if self.stand_in:
            self.notes.append("No log holds decisions; the outcomes of deliveries stand for them.")

    def _add(self, code: str, row: Row, decision: str, worksheet: str, log: str, source: str = "") -> None:
        self.findings.append(
            Finding(
                code=code,
                sheet=row.sheet,
                line=row.line,
                decision=decision,
                worksheet=worksheet,
                log=log,
                source=source,
            )
        )

    def _judge_pair(self, row: Row, e: _Entity, method: str) -> int | None:
        """The findings about one row and its decision; returns by how much they drift when that is too much."""
        name, there = e.name, self._sources(e)
        where = ", ".join(there)
        session, scope, about = e.facts.session, e.facts.scope, e.facts.conversation
        wanted = row.session or self.session
        if method == "natural-key" and row.claims:
            self._add("id_differs", row, row.number or row.uid, _row_said(row), f"decision {name}", where)
        if wanted and session not in ("", wanted):
            self._add("id_reused", row, name, f"session {wanted}", f"session {session}", where)
        elif self.part and self.part.sessions and session not in ("", *self.part.sessions):
            ours = ", ".join(sorted(self.part.sessions))
            self._add("id_reused", row, name, f"session {ours}", f"session {session}", where)
        elif method == "decision-id" and not wanted and (others := self._other_sessions(row.number, e)):
            logs = f"sessions {session or 'without a name'} and {', '.join(others)}"
            self._add("id_reused", row, name, _row_said(row), logs, where)
        if scope and scope != (row.scope or self.scope):
            self._add("wrong_scope", row, name, f"scope {row.scope or self.scope}", f"scope {scope}", where)
        if row.conversation and about and row.conversation != about:
            self._add("conversation_mismatch", row, name, row.conversation, about, where)
        for source in self.judges:
            if source.account.name not in there:
                at = self._removed(e.facts.number, e.facts.uid).get(source.account.name, "")
                code = "removed_by_retention" if at else "missing_in_log"
                said = _removed_on(at) if at else "not there"
                self._add(code, row, name, _row_said(row), f"{said}; {where} has it", source.account.name)
        self._judge_status(row, e)
        drift = _drift(row.at, e.at)
        if drift is None or abs(drift) <= self.tolerance or row.at is None or e.at is None:
            return None
        said = f"{stamp(e.at)} ({spell(drift)})"
        self._add("time_drift", row, name, stamp(row.at.at), said, where)
        return drift

    def _removed(self, number: str, uid: str) -> dict[str, str]:
        """The logs retention has removed it from, and when."""
        held = ((s.account.name, s.account.removed) for s in self.sources)
        # A uid names one decision; a number may be another system's.
        return {name: at for name, removed in held if (at := removed.get(uid or number))}

    def _sources(self, e: _Entity) -> tuple[str, ...]:
        """The logs that have it, in the order they were given."""
        if len(e.rows) == 1:
            return (e.row.source,)
        there = {r.source for r in e.rows}
        return tuple(s.account.name for s in self.sources if s.account.name in there)

    def _where(self, e: _Entity) -> str:
        return ", ".join(self._sources(e))

    def _other_sessions(self, number: str, e: _Entity) -> list[str]:
        mine = e.facts.session
        return sorted({s for other in self.by_number[number] if (s := other.facts.session) and s != mine})

    def _judge_status(self, row: Row, e: _Entity) -> None:
        number = e.facts.number
        if not row.statuses or number not in self.events:
            return
        final = final_statuses(self.events[number])
        for effect, said in row.statuses:
            key = effect or _principal(final)
            there = final.get(key) or (final.get("") if effect else None)
            if there and not same_status(said, there):
                label = f"{key}: " if key else ""
                events = ", ".join(dict.fromkeys(r.source for r in self.events[number]))
                self._add("status_differs", row, e.name, f"{label}{said}", f"{label}{there}", events)

    def _log_duplicates(self, entities: Sequence[_Entity]) -> None:
        seen: set[int] = set()
        for e in entities:
            if id(e) in seen:
                continue
            seen.add(id(e))
            number = e.facts.number
            if len(e.rows) == 1 and len(self.by_number[number]) < 2:
                continue
            twins = [
                other
                for other in self.by_number[number]
                if number and other is not e and other.facts.session == e.facts.session
            ]
            rows = [r for entity in (e, *twins) for r in entity.rows]
            for source, count in sorted(Counter(r.source for r in rows).items()):
                mine = [r for r in rows if r.source == source]
                if self.stand_in:
                    count = max(Counter((r.uid, r.effect, r.attempt) for r in mine).values())
                if count > 1:
                    lines = sorted(r.line for r in mine if r.line)
                    at = f" (lines {', '.join(map(str, lines[:5]))})" if lines else ""
                    times = f"{count} times{at}"
                    finding = Finding(
                        code="duplicate", decision=e.name, worksheet="once", log=times, source=source
                    )
                    self.findings.append(finding)

    def _tell_drift(self, drifts: Sequence[int]) -> None:
        assert self.drift_median is not None
        said = (
            f"{len(drifts)} of {len(self.met)} matched rows drift; the median is {spell(self.drift_median)}"
        )
        self.notes.append(f"{said}.")

    # --- what the worksheet leaves out ------------------------------------------------------------------------------

    def _part(self) -> None:
        """The part of the log the worksheet answers for."""
        if self.session:
            self.part = Part(scope=self.scope, sessions=frozenset([self.session]))
            return
        sessions = Counter(e.facts.session for e, method in self.met.values() if method != "natural-key")
        named = Counter({r.session: 1 for r in self.rows if r.session})
        if named:
            self.part = Part(scope=self.scope, sessions=frozenset(named))
            return
        if sessions and not sessions[""]:
            # One id copied from another session must not make the worksheet answer for all of that session.
            most = max(sessions.values())
            ours = frozenset(s for s, n in sessions.items() if n == most or (n > 1 and n * 4 > most))
            self.part = Part(scope=self.scope, sessions=ours)
            return
        if written := [r.at for r in self.rows if r.at]:
            start = min(at.at for at in written) - self.tolerance
            end = max(at.at + at.width for at in written) - 1 + self.tolerance
            self.part = Part(scope=self.scope, start=start, end=end)
        elif known := [e.at for e, _ in self.met.values() if e.at is not None]:
            self.part = Part(scope=self.scope, start=min(known), end=max(known))

    def _unexpected(self) -> list[_Entity]:
        """Decisions on conversations of which the worksheet says that nothing was decided."""
        assert self.part
        decided = {e.facts.conversation for e, _ in self.met.values()}
        decided |= {r.conversation for r in self.rows if r.claims}
        silent: dict[str, Row] = {}
        for place, row in enumerate(self.rows):
            if (
                not row.claims
                and place not in self.met
                and row.conversation
                and row.conversation not in decided
            ):
                silent.setdefault(row.conversation, row)
        if not silent or self.stand_in:
            return []
        found = [r for s in self.judges for r in s.about(set(silent), ()) if self.part.holds(r)]
        entities = _entities(found, self.tolerance, False)
        for e in entities:
            row = silent[e.facts.conversation]
            action = e.facts.action or "decided"
            log = f"decision {e.name}: {action}" + (f" at {stamp(e.at)}" if e.at is not None else "")
            self._add("unexpected_row", row, e.name, f"{row.conversation}: no decision", log, self._where(e))
        return entities

    def _unlisted(self, besides: Sequence[_Entity]) -> None:
        assert self.part
        listed = [e for e, _ in self.met.values()] + list(besides)
        numbers = {n for e in listed if (n := e.facts.number)} | {r.number for r in self.rows if r.number}
        uids = {e.facts.uid for e in listed if not e.facts.number} - {""}
        answers = [
            s.unlisted(self.part, numbers, uids, events=self.stand_in, limit=NAMED) for s in self.judges
        ]
        entities = _entities([r for a in answers for r in a.rows], self.tolerance, self.stand_in)
        entities.sort(key=lambda e: e.row.order)
        for e in entities:
            parts = [e.facts.action or e.facts.status, e.facts.conversation]
            at = [stamp(e.at)] if e.at is not None else []
            log = ", ".join(p for p in [*parts, *at] if p)
            self.findings.append(
                Finding(
                    code="missing_in_worksheet", decision=e.name, worksheet="not there", log=log,
                    source=self._where(e),
                )
            )  # fmt: skip
        unnamed = max((a.count - len(a.rows) for a in answers), default=0)
        if unnamed > 0:
            self.unnamed["missing_in_worksheet"] += unnamed
            what = "outcomes of deliveries" if self.stand_in else "decisions"
            self.notes.append(
                f"The worksheet leaves out {unnamed:,} {what} more than are named; the first {len(entities):,} are."
            )


def _entities(rows: Iterable[LogRow], tolerance: int, events: bool) -> list[_Entity]:
    """The decisions behind rows of several logs: one uid is one decision, and so is one number at one time."""
    out: list[_Entity] = []
    by_uid: dict[str, _Entity] = {}
    by_number: dict[str, list[_Entity]] = defaultdict(list)
    ordered = sorted(rows, key=lambda r: r.order)
    for row in sorted(ordered, key=lambda r: not r.uid):
        entity = by_uid.get(row.uid) if row.uid and not events else None
        if entity is None and (events or not row.uid):
            near = by_number[row.number] if row.number else []
            entity = next((e for e in near if events or _one(e, row, tolerance)), None)
        if entity is not None:
            entity.add(row)
            continue
        entity = _Entity(row)
        out.append(entity)
        if row.uid and not events:
            by_uid[row.uid] = entity
        if row.number:
            by_number[row.number].append(entity)
    return out


def _one(e: _Entity, row: LogRow, tolerance: int) -> bool:
    session, at = e.facts.session, e.at
    if session and row.session and session != row.session:
        return False
    return at is None or row.at is None or abs(at - row.at) <= tolerance


def final_statuses(events: Iterable[LogRow]) -> dict[str, str]:
    """How the delivery of each effect ended: the status of its last attempt."""
    rows = list(events)
    last: dict[str, LogRow] = {}
    if len(rows) > 1:
        rows.sort(key=lambda r: (r.attempt, r.order))
    for row in rows:
        # A workspace knows better than an export of an hour ago that something has been sent since.
        if row.status != "PENDING" or row.effect not in last:
            last[row.effect] = row
    return {effect: row.status for effect, row in last.items()}


def _principal(final: dict[str, str]) -> str:
    """The effect a bare status is about: the reply, else whatever is no note."""
    for effect in ("", "reply", *sorted(final)):
        if effect in final and effect != "note":
            return effect
    return "note"


def same_status(one: str, other: str) -> bool:
    """Whether two words say the same; SUCCESS and OK do, TIMEOUT and FAILED do not."""
    a, b = one.lower(), other.lower()
    return a == b or (a in _SUCCESSES and b in _SUCCESSES)


def _drift(said: Moment | None, at: int | None) -> int | None:
    """Worksheet minus log in milliseconds; 0 where the log's moment lies within what was written coarsely."""
    if said is None or at is None:
        return None
    if said.at <= at < said.at + said.width:
        return 0
    return said.at - at if at < said.at else said.at + said.width - 1 - at


def _row_said(row: Row) -> str:
    parts = [row.written or row.number or row.uid or "no id", row.conversation]
    return ", ".join(p for p in parts if p)


def _removed_on(at: str) -> str:
    return f"removed by retention on {at[:10]}"


def _line(before: Row, row: Row) -> str:
    return f"on line {before.line}" + ("" if before.sheet == row.sheet else f" of {before.sheet}")
