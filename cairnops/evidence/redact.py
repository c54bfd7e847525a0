"""What is shown of a bundle to somebody who may not know the customers, and what of it can still be proved."""

import hashlib
import hmac
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairnops import __version__, codec
from cairnops.errors import FINDINGS, CairnError, InputError
from cairnops.evidence import bags, bundle, feedback, pseudonyms, redacted, verify, worksheet
from cairnops.evidence import payload as payloads
from cairnops.evidence.pseudonyms import Pseudonyms
from cairnops.telemetry.writer import write_ndjson, write_whole

if TYPE_CHECKING:
    pass

DECISIONS, ABOUT = "redacted/decisions.ndjson", "redacted/redaction.json"

#: References of ours: a customer called like a session must not tear the bundle apart.
_REFERENCES = frozenset({
    "uid", "linked", "decision", "effect", "session", "scenario", "conversation", "conversation_id", "policyHash",
    "leafHash", "packDigest", "id", "code", "kind", "pack", "template", "templateId", "status", "state", "require",
})  # fmt: skip
#: A key minted for a form has 128 bits nobody can guess.
_MINTED = re.compile(r"[0-9a-f]{32}")


class NotSound(CairnError):
    """The bundle has findings."""

    exit_code = FINDINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class Redaction:
    """A redacted bundle that was written."""

    kept: bags.Kept
    #: The file with what was withheld; it belongs with the original, not with the bundle.
    openings: Path
    #: How many passages of each kind were replaced.
    replaced: Mapping[str, int]
    #: Files that are left out whole.
    withheld: tuple[str, ...]
    #: Decisions whose leaf hash would confirm a right guess of what was withheld.
    guessable: tuple[int, ...]
    hidden: bool
    #: Where something that was replaced elsewhere still stands, as `file: stand-in`.
    left: tuple[str, ...]


def redact(
    source: Path,
    target: Path,
    openings: Path,
    *,
    at: datetime,
    secret: bytes,
    staff: bool = False,
    show_hashes: bool = False,
    replace: bool = False,
) -> Redaction:
    """Write a bundle in which customers are pseudonyms, and beside it the openings that prove what was withheld.

    `secret` (32 bytes from a random source) makes the commitments; `at` (UTC) is the bagging date. With `staff`
    participants become pseudonyms too. Leaf hashes and the log's statements are left out as soon as one of them would
    confirm a right guess of what was replaced, unless `show_hashes`; the openings prove the place in the log then.

    Raises:
        InputError: when the source is no bundle, or one redacted already, or a target cannot be written.
        NotSound: when the source has findings: redacting would only hide them.
    """
    with bags.opened(source) as bag:
        found = verify.verify(bag)
        if found.kind == "redacted":
            raise InputError(f"{source} is redacted already.", hint="Redact the bundle it was made from.")
        if found.found:
            raise NotSound(
                f"{source} has {found.found} findings; it is not redacted.",
                hint=f"cairnops evidence verify {source}",
            )
        work = _Work(bag / bags.PAYLOAD, secret, staff=staff, show=show_hashes)
        work.original = found.fingerprint
        info = {
            "External-Identifier": found.session,
            "External-Description": f"Redacted evidence of the session {found.session}",
            "Bagging-Date": f"{at:%Y-%m-%d}",
            "Bag-Software-Agent": f"cairnops {__version__}",
        }
        work.read()
        _check_targets(target, openings, replace)
        # First what undoes it, so that no redacted bundle is ever without.
        write_whole(openings, work.openings(), mode=0o600)
        kept = bags.write(target, work.fill, info, replace=replace)
    return Redaction(
        kept=kept,
        openings=openings,
        replaced=dict(work.names.counts),
        withheld=tuple(work.withheld),
        guessable=tuple(work.guessable),
        hidden=work.hidden,
        left=tuple(work.left),
    )


def _check_targets(target: Path, openings: Path, replace: bool) -> None:
    """Openings that were lost with the secret in them can never be made again: nothing of that name is overwritten."""
    if openings.resolve() == target.resolve() or openings.resolve().is_relative_to(target.resolve()):
        raise InputError(
            "The openings may not lie in the redacted bundle.",
            hint="They undo the redaction; keep them apart.",
        )
    for path in (target, openings):
        if path.exists() and not replace:
            raise InputError(
                f"{path} is there already.", hint="Choose another name, or let it be replaced with --replace."
            )


class _Work:
    """One redaction: everything is read and replaced first, written afterwards."""

    def __init__(self, root: Path, secret: bytes, *, staff: bool, show: bool):
        self.root, self._secret, self._staff, self._show = root, secret, staff, show
        payload = payloads.payload(root)
        self._payload, self.index = payload, payload.index()
        self._paths: dict[str, str] = self.index["files"]
        self._session = payload.data(self._paths["session"], dict)
        self.original = ""
        #: No leaf hash and no statement of the log is shown.
        self.hidden = False
        self.names = self._pseudonyms()
        self.withheld: list[str] = []
        self.guessable: list[int] = []
        self.left: list[str] = []
        #: The new payload: path to data, rows, text, or the path of a file that is taken as it is.
        self._made: dict[str, Any] = {}
        self._files: dict[str, str] = {}
        self._openings: list[dict[str, Any]] = []

    def _pseudonyms(self) -> Pseudonyms:
        seen = self._payload.rows(self._paths["conversations"])
        held = self._session["session"]
        people = [] if self._staff else [p["email"] for p in held["participants"]]
        return Pseudonyms(
            [c["customer"] for c in seen],
            [c["order"]["number"] for c in seen if c["order"]],
            kept_emails=people,
            # "Morgan Patel (CX lead)" is not the customer Taylor Morgan.
            kept_names=[str(who).partition("(")[0].strip() for who in held["roles"].values()],
        )

    def read(self) -> None:
        """Make the new payload."""
        rows, text = self._payload.rows, self.names.text
        decisions = rows(self._paths["decisions"])
        shown = [self._decision(record) for record in decisions]
        # One guess confirmed is enough; and the tree gives away any one leaf to whoever has the others.
        self.hidden = bool(self.guessable) and not self._show
        if self.hidden:
            shown = [{**row, "leafHash": None} for row in shown]
            for row in shown:
                row.pop("logIndex", None)
        views = [row["view"] for row in shown]
        self._put("decisions", DECISIONS, shown)
        deliveries, events = rows(self._paths["sync-events"]), self._rows("events")
        self._copy("sync-events", "summary", *(() if self.hidden else redacted.STATEMENTS))
        self._take("policy")
        self._put("conversations", self._paths["conversations"], self._rows("conversations"))
        self._put("events", self._paths["events"], events)
        for what in ("session", "gates", "results"):
            data = self._payload.data(self._paths[what], dict)
            self._put(what, self._paths[what], self.names.data(data, skip=_skips(what)))
        sheet = [self._row(cells) for cells in self._payload.table(self._paths["worksheet"])[1:]]
        title = f"{text(self.index['title'])}: {self.index['session']}"
        self._put("worksheet", self._paths["worksheet"], worksheet.as_csv(sheet))
        self._put("worksheet-markdown", self._paths["worksheet-markdown"], worksheet.markdown(title, sheet))
        facts = feedback.Facts(
            session=self.index["session"],
            decisions=views,
            deliveries=deliveries,
            events=events,
            worksheet=sheet,
            results=self._made[self._paths["results"]]["results"],
            paths=self._files,
        )
        for name, written in feedback.snippets(facts).items():
            self._put(f"feedback-{name}", f"feedback/{name}.md", written)
        readme = f"{bundle.SCREENSHOTS}/README.md"
        self._made[readme] = self.root / readme
        self._leave_out()
        self._put("redaction", ABOUT, self._about())
        self._made[bundle.INDEX] = self._new_index(title)
        self._look_again()

    def _put(self, what: str, path: str, made: Any) -> None:
        self._files[what] = path
        self._made[path] = made

    def _copy(self, *roles: str) -> None:
        for what in roles:
            if what in self._paths:
                self._put(what, self._paths[what], self.root / self._paths[what])

    def _take(self, what: str) -> None:
        """Take a file whose hash is on record; when it holds something personal it is left out instead."""
        if what in self._paths:
            text = self._payload.text(self._paths[what])
            if self.names.text(text) == text:
                self._copy(what)
            else:
                self.withheld.append(self._paths[what])

    def _rows(self, what: str) -> list[dict[str, Any]]:
        return [self.names.data(row, skip=_reference) for row in self._payload.rows(self._paths[what])]

    def _row(self, cells: Sequence[str]) -> worksheet.Row:
        row = verify.row_of(cells)
        return worksheet.Row(
            at=row.at, participant=self.names.text(row.participant), scenario=row.scenario,
            conversation=row.conversation, sla=row.sla, decision=row.decision, outcome=self.names.text(row.outcome),
            follow_up=self.names.text(row.follow_up),
        )  # fmt: skip

    def _decision(self, given: Mapping[str, Any]) -> dict[str, Any]:
        record = dict(given)
        leaf, index = record.pop("leafHash"), record.pop("logIndex", None)
        view = self.names.data(record, skip=_reference)
        withheld = [p for p in redacted.differing(record, view) if p != "/requestKey"]
        view["requestKey"] = ""
        text = codec.canonical(record)
        salt = self._salt(record["uid"])
        if withheld and not _MINTED.search(record["requestKey"]):
            self.guessable.append(record["decisionId"])
        self._openings.append(
            {"uid": record["uid"], "salt": salt.hex(), "leafHash": leaf, "logIndex": index, "record": text}
        )
        out: dict[str, Any] = {
            "leafHash": leaf,
            "commitment": redacted.commitment(salt, text),
            "withheld": ["/requestKey", *withheld],
            "view": view,
        }
        return out if index is None else {"logIndex": index, **out}

    def _salt(self, name: str) -> bytes:
        return hmac.new(self._secret, name.encode(), hashlib.sha256).digest()

    def _leave_out(self) -> None:
        """Pictures and pages cannot be searched reliably, so nobody gets to see them."""
        report = [self._paths["report"]] if "report" in self._paths else []
        self.withheld += [*report, *self.index["screenshots"]]

    def _commitments(self) -> list[dict[str, str]]:
        return [
            {
                "file": self.names.text(path),
                "commitment": redacted.commitment(self._salt(path), bags.hashes(self.root / path)["sha256"]),
            }
            for path in self.withheld
        ]

    def _about(self) -> dict[str, Any]:
        return {
            # A plain hash of the original would confirm a right guess of what was replaced in it.
            "original": redacted.commitment(self._salt("original"), self.original),
            "hashes": "hidden" if self.hidden else "shown",
            "guessable": list(self.guessable),
            "staff": "replaced" if self._staff else "kept",
            "withheldFiles": self._commitments(),
            "notFound": list(pseudonyms.NOT_FOUND),
        }

    def _new_index(self, title: str) -> dict[str, Any]:
        return {
            **self.index,
            "kind": "redacted",
            "title": title.rpartition(": ")[0],
            "sealed": None if self.hidden else self.index["sealed"],
            "unfinished": self.names.data(self.index["unfinished"], skip=_reference),
            "counts": {**self.index["counts"], "screenshots": 0},
            "files": self._files,
            "screenshots": [],
            "withheld": [self.names.text(path) for path in self.withheld],
        }

    def _look_again(self) -> None:
        """Whether anything that was replaced somewhere stands somewhere else all the same."""
        for path, made in self._made.items():
            text = made.read_text(encoding="utf-8") if isinstance(made, Path) else _text(path, made)
            for stand_in, spellings in self.names.meaning.items():
                if any(pseudonyms.stands_in(text, one) for one in spellings):
                    self.left.append(f"{path}: {stand_in}")

    def fill(self, folder: Path) -> None:
        """Write the new payload."""
        for path, made in self._made.items():
            if isinstance(made, Path):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(made, folder / path)
            elif isinstance(made, list):
                write_ndjson(folder / path, made)
            else:
                write_whole(folder / path, _text(path, made))

    def openings(self) -> str:
        """What proves the redacted bundle to whoever may see the original: a line for each decision."""
        head = {
            "format": redacted.OPENINGS_FORMAT,
            "session": self.index["session"],
            "statements": {
                what: self._payload.text(self._paths[what])
                for what in redacted.STATEMENTS
                if what in self._paths
            },
        }
        # By itself and last: whoever is shown one record needs the first line, and may not see this one.
        rest = {
            "original": {"salt": self._salt("original").hex(), "fingerprint": self.original},
            "meaning": {k: sorted(v) for k, v in self.names.meaning.items()},
            "files": [
                {
                    "file": path,
                    "salt": self._salt(path).hex(),
                    "sha256": bags.hashes(self.root / path)["sha256"],
                }
                for path in self.withheld
            ],
        }
        return "".join(codec.canonical(line) + "\n" for line in (head, *self._openings, rest))


def _text(path: str, made: Any) -> str:
    if isinstance(made, str):
        return made
    if isinstance(made, list):
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in made)
    del path
    return codec.dumps(made) + "\n"


def _reference(at: str) -> bool:
    # A template's variables are the customer's, whatever they are called.
    return "/variables/" not in at and at.rpartition("/")[2] in _REFERENCES


def _skips(what: str) -> Any:
    """References, and the names of things that are ours: the session and its probes."""
    named = {"session": re.compile(r"/session/(?:name|probes/\d+)"), "gates": re.compile(r"/probes/\d+/name")}
    pattern = named.get(what)
    return lambda at: _reference(at) or bool(pattern and pattern.fullmatch(at))
