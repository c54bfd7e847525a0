"""What a stranger can believe of a bundle: its bag, its ledger, its claims, and that nothing needed is missing."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cairnops import codec
from cairnops.domain import gates, sessions
from cairnops.domain.policy import Policy
from cairnops.domain.sessions import Gate
from cairnops.errors import CairnError, InputError
from cairnops.evidence import bags, bundle, feedback, inert, proofs, worksheet
from cairnops.evidence.bags import Fault, Limits
from cairnops.evidence.payload import Payload, Report, Trust, Unreadable, payload
from cairnops.evidence.worksheet import Row

_UID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def verify(path: Path, *, trust: Trust | None = None, limits: Limits | None = None) -> Report:
    """Check a bundle, a folder or a zip, offline and without a workspace.

    Raises:
        InputError: when it is no bag, cannot be read safely, or is a sound bag that is no bundle of ours.
    """
    trust = trust or Trust()
    with bags.opened(path, limits) as bag:
        report = Report(str(path))
        for fault in bags.faults(bag, limits):
            report.tell(*_told(fault))
        if (bag / "manifest-sha256.txt").is_file():
            report.fingerprint = bags.fingerprint(bag)
        held = payload(bag / bags.PAYLOAD, report)
        if not (held.root / bundle.INDEX).is_file() and not report.found:
            raise InputError(
                f"{path} is a sound bag, and no bundle: it holds no {bags.PAYLOAD}/{bundle.INDEX}.",
                hint="cairnops evidence bundle SESSION writes one.",
            )
        try:
            _Check(report, held, held.index(), trust).run()
        except Unreadable:
            report.unproved.append("anything else: the bundle's own list of what it holds cannot be read")
        return report


def _told(fault: Fault) -> tuple[str, str, str]:
    return fault.code, fault.where, fault.what


class _Check:
    """Every claim of one bundle, against what it is about."""

    def __init__(self, report: Report, payload: Payload, index: dict[str, Any], trust: Trust):
        self.report, self.payload, self.index, self.trust = report, payload, index, trust
        self.paths: dict[str, str] = index["files"]
        report.kind, report.session = index["kind"], index["session"]
        self.decisions: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.rows: list[Row] = []
        self.results: list[dict[str, Any]] = []
        self.policy: Policy | None = None

    def run(self) -> None:
        """Each part by itself, so that one that cannot be read hides no other."""
        parts: tuple[Callable[[], None], ...] = (
            self._files, self._ledger, self._decisions, self._deliveries, self._session, self._gates,
            self._worksheet, self._results, self._summary, self._feedback, self._counts, self._complete,
        )  # fmt: skip
        for part in parts:
            try:
                part()
            except Unreadable:
                continue
            except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
                # A field that is not there, or holds something else: whoever wrote this was not us.
                what = f"a field is missing or of another kind ({type(error).__name__}: {str(error)[:80]})"
                self.report.tell("bundle.unreadable", part.__name__.strip("_"), what)

    def _claim(self, holds: object, code: str, where: str, what: str) -> None:
        self.report.claims += 1
        if not holds:
            self.report.tell(code, where, what)

    def _path(self, what: str) -> str:
        path = self.paths.get(what)
        if path is None:
            self.report.tell("bundle.missing", what, "the bundle does not hold it")
            raise Unreadable
        if not self.payload.has(path):
            raise Unreadable
        return path

    def _files(self) -> None:
        listed = {
            bundle.INDEX,
            f"{bundle.SCREENSHOTS}/README.md",
            *self.paths.values(),
            *self.index["screenshots"],
        }
        there = {
            p.relative_to(self.payload.root).as_posix() for p in self.payload.root.rglob("*") if p.is_file()
        }
        for name in sorted(listed - there):
            self._claim(False, "bundle.missing", name, "the bundle's list names it and it is not there")
        for name in sorted(there - listed):
            self._claim(False, "bundle.extra", name, "it is not in the bundle's list of what it holds")
        self.report.claims += len(listed & there)
        for name in self.index["screenshots"]:
            if self.payload.has(name):
                self._claim(
                    bundle.is_image(self.payload.root / name),
                    "claim.picture",
                    name,
                    "it is not the picture its name says",
                )

    def _ledger(self) -> None:
        path = self._path("decisions")
        if self.report.kind == "redacted":
            from cairnops.evidence import redacted

            self.decisions = [row["view"] for row in self.payload.rows(path)]
            redacted.check(self.report, self.payload.root, self.paths, self.trust)
            return
        if self.trust.openings:
            raise InputError(
                "Openings belong to a redacted bundle, and this one is not redacted.",
                hint="Leave --openings out.",
            )
        self.decisions = self.payload.rows(path)

        def small(what: str) -> bytes:
            there = self.paths.get(what)
            return proofs.read_small(self.payload.root / there) if there and self.payload.has(there) else b""

        if not self.decisions:
            self.report.unproved.append("anything of the ledger: the session has no decisions")
            return
        try:
            found = proofs.verify_export(
                self.payload.root / path,
                checkpoint=small("checkpoint"),
                extract=small("extract"),
                trust=proofs.Trust(
                    key=self.trust.key,
                    beside=small("key").decode(errors="replace"),
                    rotations=small("rotations"),
                    old=self.trust.old,
                ),
                deep=True,
            )
        except CairnError as error:
            self.report.tell("ledger.unreadable", path, str(error))
            return
        self.report.claims += found.rows
        for one in found.findings:
            where = f"{path}:{one.line}" if one.line else path
            self.report.tell(f"ledger.{one.code}", where, one.what)
        self.report.found += found.found - len(found.findings)
        self.report.proved += found.proved
        self.report.unproved += found.unproved
        sealed = self.index.get("sealed")
        self._claim(
            found.size == sealed,
            "claim.sealed",
            bundle.INDEX,
            f"it says {'nothing' if sealed is None else sealed} of the log was sealed, the checkpoint "
            f"{'is not there' if found.size is None else f'says {found.size}'}",
        )

    def _decisions(self) -> None:
        path = self._path("decisions")
        for number, d in enumerate(self.decisions, 1):
            where = f"{path}:{number}"
            self._claim(
                isinstance(d["decisionId"], int) and isinstance(d["uid"], str) and _UID.fullmatch(d["uid"]),
                "claim.decision", where, "its number or its uid is none",
            )  # fmt: skip
            self._claim(
                d["session"] == self.report.session,
                "claim.session",
                where,
                f"it is of session {d['session']!r}",
            )
        for name in ("decisionId", "uid"):
            for value, times in Counter(d[name] for d in self.decisions).items():
                self._claim(times == 1, "claim.twice", path, f"{name} {value} is there {times} times")
        seen = {c["conversation"] for c in self.payload.rows(self._path("conversations"))}
        for ref in sorted({d["conversation"] for d in self.decisions}):
            self._claim(ref in seen, "claim.conversation", path, f"conversation {ref} is not in the bundle")

    def _deliveries(self) -> None:
        path = self._path("sync-events")
        self.deliveries = self.payload.rows(path)
        known = self._known()
        for number, row in enumerate(self.deliveries, 1):
            named = row["decisionId"]
            self._claim(
                named is None or named in known,
                "claim.decision",
                f"{path}:{number}",
                f"decision {named} is not in the export",
            )

    def _known(self) -> dict[int, dict[str, Any]]:
        return {d["decisionId"]: d for d in self.decisions}

    def _session(self) -> None:
        path = self._path("session")
        held = self.payload.data(path, dict)["session"]
        self._claim(held["name"] == self.report.session, "claim.session", path, "it is another session")
        self._claim(
            held["packDigest"] == self.index["packDigest"] and held["policyHash"] == self.index["policyHash"],
            "claim.session", path, "its pack or policy is not the one the bundle says",
        )  # fmt: skip
        for d in self.decisions:
            self._claim(
                d["policyHash"] == held["policyHash"],
                "claim.policy", self.paths["decisions"], f"decision {d['decisionId']} was made under another policy",
            )  # fmt: skip
        if "policy" not in self.paths:
            self.report.unproved.append(
                "the policy as it was: it had been changed before the session was bundled"
            )
            return
        path = self._path("policy")
        data = self.payload.data(path, dict)
        same = codec.digest(codec.canonical(data)) == held["policyHash"]
        self._claim(same, "claim.policy", path, "it does not have the hash the session was started under")
        if same:
            self.policy = codec.read(Policy, data)

    def _gates(self) -> None:
        path = self._path("gates")
        data = self.payload.data(path, dict)
        held = self.payload.data(self._path("session"), dict)["session"]
        records = [
            gates.ProbeRecord(
                name=p["name"], status=p["status"], at=codec.moment(p["at"]), kind=p["kind"],
                latency_ms=p["latencyMs"], http_status=p["httpStatus"], detail=p["detail"],
            )
            for p in data["probes"]
        ]  # fmt: skip
        newest: dict[str, gates.ProbeRecord] = {}
        for record in records:
            if record.name not in newest or record.at >= newest[record.name].at:
                newest[record.name] = record
        judged = codec.moment(data["judgedAt"])
        asked = [Gate(id=g["id"], title=g["title"], require=g["require"]) for g in held["gates"]]
        self._claim(
            [(g.id, g.require) for g in asked] == [(g["id"], g["require"]) for g in data["gates"]],
            "claim.gate", path, "its gates are not those of the session",
        )  # fmt: skip
        results = []
        for gate, said in zip(asked, data["gates"], strict=False):
            found = gates.evaluate(gates.parse(gate.require, held["probes"]), newest, judged)
            results.append((gate, found))
            self._claim(
                found.state.value == said["state"],
                "claim.gate", path, f"gate {gate.id} says {said['state']}, its probes say {found.state.value}",
            )  # fmt: skip
        board = sessions.GateBoard(results=tuple(results)).state.value
        self._claim(
            board == data["verdict"], "claim.gate", path, f"it says {data['verdict']}, its gates say {board}"
        )

    def _worksheet(self) -> None:
        path = self._path("worksheet")
        table = self.payload.table(path)
        self._claim(
            table[:1] == [list(worksheet.COLUMNS)],
            "claim.worksheet",
            path,
            "its columns are not a worksheet's",
        )
        self.rows = [row_of(cells) for cells in table[1:]]
        known = self._known()
        listed = Counter(row.decision for row in self.rows if row.decision.isdecimal())
        for number, row in enumerate(self.rows, 1):
            where = f"{path} row {number}"
            if not row.decision.isdecimal():
                self._claim(
                    row.decision == "—",
                    "claim.decision",
                    where,
                    f"{row.decision!r} is neither a decision nor none",
                )
                continue
            d = known.get(int(row.decision))
            self._claim(d, "claim.decision", where, f"decision {row.decision} is not in the export")
            if d is not None:
                self._row(where, row, d)
        for d in self.decisions:
            if d["scope"] == "ops":
                times = listed[str(d["decisionId"])]
                self._claim(
                    times == 1,
                    "claim.worksheet",
                    path,
                    f"decision {d['decisionId']} has {times} rows, not one",
                )
        self._markdown(table[1:])

    def _row(self, where: str, row: Row, d: Mapping[str, Any]) -> None:
        claims = (
            ("time", row.at, d["createdAt"]),
            ("participant", row.participant, d["actor"]["email"]),
            ("conversation", row.conversation, d["conversation"]),
            ("scope", "ops", d["scope"]),
        )
        for name, said, real in claims:
            self._claim(
                said == real,
                "claim.worksheet",
                where,
                f"its {name} is {said!r}; decision {row.decision} says {real!r}",
            )
        for effect in self.deliveries:
            if effect["decisionId"] != d["decisionId"]:
                continue
            code = f" {effect['errorCode']}" if effect["errorCode"] else ""
            said = f"{effect['effect']}: {effect['status']} at attempt {effect['attempt']}{code}"
            self._claim(
                said in row.outcome.split("; "),
                "claim.worksheet",
                where,
                f"its outcome does not say {said!r}, as the log does",
            )

    def _markdown(self, table: Sequence[Sequence[str]]) -> None:
        path = self._path("worksheet-markdown")
        lines = [line for line in self.payload.text(path).split("\n") if line.startswith("|")]
        wanted = [
            "| " + " | ".join(inert.markdown_cell(plain_cell(c)) for c in cells) + " |" for cells in table
        ]
        self._claim(
            lines[2:] == wanted,
            "claim.worksheet",
            path,
            f"its rows are not those of {self.paths['worksheet']}",
        )

    def _results(self) -> None:
        path = self._path("results")
        data = self.payload.data(path, dict)
        self.results = data["results"]
        self._claim(data["session"] == self.report.session, "claim.session", path, "it is of another session")
        seen = {c["conversation"] for c in self.payload.rows(self._path("conversations"))}
        for number, run in enumerate(self.results, 1):
            where = f"{path} row {number}"
            ref = f"chatwoot:{run['conversation']}"
            self._claim(ref in seen, "claim.conversation", where, f"conversation {ref} is not in the bundle")
            held = all(c["ok"] for c in run["score"]["checks"] if c["gating"])
            self._claim(
                held or not run["passed"],
                "claim.result",
                where,
                f"{run['scenario']} says passed, and a check says it did not",
            )

    def _summary(self) -> None:
        from cairnops.analytics.summary import summarize

        path, export = self._path("summary"), self._path("sync-events")
        said = self.payload.data(path, dict)
        self._claim(
            said["source"]["sha256"] == bags.hashes(self.payload.root / export)["sha256"],
            "claim.summary", path, f"it was made from another file than {export}",
        )  # fmt: skip
        if self.policy is not None:
            found = summarize(
                self.payload.root / export,
                measures=self.policy.measures,
                alerts=self.policy.alerts,
                dialect="cairnops",
            ).to_dict()
            differs = sorted(k for k in said.keys() | found.keys() if said.get(k) != found.get(k))
            self._claim(
                not differs,
                "claim.summary",
                path,
                f"computed again, other figures come out: {', '.join(differs[:5])}",
            )

    def _feedback(self) -> None:
        known = self._known()
        for name in feedback.FILES:
            path = self._path(f"feedback-{name}")
            entries, bad = feedback.read(name, self.payload.text(path))
            for line in bad:
                self._claim(
                    False, "claim.feedback", f"{path}:{line}", "the line is no entry with its evidence"
                )
            for number, entry in enumerate(entries, 1):
                where = f"{path} entry {number}"
                if entry.decision:
                    self._claim(
                        entry.decision in known,
                        "claim.decision",
                        where,
                        f"decision {entry.decision} is not in the export",
                    )
                self._claim(
                    self._proves(entry), "claim.evidence", where,
                    f"{entry.path} {entry.unit} {entry.line} is not there, or not about that",
                )  # fmt: skip

    def _proves(self, entry: feedback.Entry) -> bool:
        """Whether the row an entry points at exists and is about what the entry says."""
        what = next((k for k, p in self.paths.items() if p == entry.path), "")
        number = entry.line - 1
        if number < 0:
            return False
        if what == "worksheet":
            return number < len(self.rows) and self.rows[number].conversation in (entry.conversation, "")
        if what == "results":
            return number < len(self.results) and (
                f"chatwoot:{self.results[number]['conversation']}" == entry.conversation
            )
        held = {"decisions": self.decisions, "sync-events": self.deliveries}.get(what)
        if held is not None:
            return number < len(held) and (held[number]["decisionId"] or 0) == entry.decision
        if what == "events":
            rows = self.payload.rows(entry.path)
            about = entry.conversation.removeprefix("chatwoot:")
            return number < len(rows) and (rows[number]["conversation"] or "-") == about
        return False

    def _counts(self) -> None:
        real = {
            "decisions": len(self.decisions),
            "syncEvents": len(self.deliveries),
            "conversations": len(self.payload.rows(self._path("conversations"))),
            "events": len(self.payload.rows(self._path("events"))),
            "worksheetRows": len(self.rows),
            "results": len(self.results),
            "screenshots": len(self.index["screenshots"]),
        }
        self.report.counts = real
        for name, number in real.items():
            said = self.index["counts"][name]
            self._claim(
                said == number, "claim.count", bundle.INDEX, f"it says {said} {name}, and {number} are there"
            )
        if left := self.index["counts"]["undelivered"]:
            self.report.unproved.append(
                f"how {left} deliveries end: they were not finished when it was bundled"
            )

    def _complete(self) -> None:
        pictures = [
            *self.index["screenshots"],
            *(p for p in self.index.get("withheld", ()) if p.startswith(f"{bundle.SCREENSHOTS}/")),
        ]
        self.report.needs = bundle.completeness(self.results, self.decisions, self.rows, pictures)
        for need in self.report.needs:
            if need.missing:
                self.report.tell(
                    "missing", need.scenario, f"{need.operator} has no {need.kind} for {need.conversation}"
                )
        for left in self.index["unfinished"]:
            self.report.tell(
                "missing", left["scenario"], f"it was begun for {left['operator']} and has no result"
            )


def plain_cell(cell: str) -> str:
    """A CSV cell without the apostrophe that keeps a spreadsheet from running it."""
    bare = cell[1:]
    return bare if cell.startswith("'") and inert.csv_cell(bare) == cell else cell


def row_of(cells: Sequence[str]) -> Row:
    """A worksheet row of its CSV cells.

    Raises:
        ValueError: when there are more or fewer cells than columns.
    """
    if len(cells) != len(worksheet.COLUMNS):
        raise ValueError(f"{len(cells)} cells where {len(worksheet.COLUMNS)} belong")
    _, at, participant, scenario, conversation, sla, decision, outcome, follow_up = map(plain_cell, cells)
    return Row(
        at=at, participant=participant, scenario=scenario, conversation=conversation, sla=sla, decision=decision,
        outcome=outcome, follow_up=follow_up,
    )  # fmt: skip
