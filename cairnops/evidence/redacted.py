"""What can be proved of a redacted bundle: that its records are the log's, and that opened views are faithful."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cairnops import codec
from cairnops.domain import checkpoints, merkle
from cairnops.domain.checkpoints import BadNote, Checkpoint, Note
from cairnops.errors import InputError
from cairnops.evidence import payload as payloads
from cairnops.evidence import pseudonyms
from cairnops.evidence.payload import Report, Trust, is_hash
from cairnops.store import keys

OPENINGS_FORMAT = "cairnops-openings/1"

#: What the log says of itself; hidden together with the leaf hashes.
STATEMENTS = ("checkpoint", "extract", "key", "rotations")


def commitment(salt: bytes, text: str) -> str:
    """SHA-256 over 32 salt bytes and the text, hex: says nothing of the text, and fits no other."""
    return hashlib.sha256(salt + text.encode()).hexdigest()


def differing(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Pointers (RFC 6901) to what differs."""
    if isinstance(old, dict):
        for name, value in old.items():
            yield from differing(value, new[name], f"{at}/{pseudonyms.pointer(name)}")
    elif isinstance(old, list):
        for number, value in enumerate(old):
            yield from differing(value, new[number], f"{at}/{number}")
    elif old != new:
        yield at


def check(report: Report, root: Path, paths: Mapping[str, str], trust: Trust) -> None:
    """Check the decisions of a redacted bundle: their place in the log, and whatever the openings open."""
    held_files = payloads.payload(root, report)
    path = paths["decisions"]
    rows = held_files.rows(path)
    opened, statements = _read_openings(trust.openings, report.session)
    sound = True
    for number, row in enumerate(rows, 1):
        report.claims += 1
        fault = _row_fault(row)
        if fault:
            sound = False
            report.tell("redacted.form", f"{path}:{number}", fault)
    if not sound:
        return
    matched = _open(report, path, rows, opened)
    leaves = [_leaf(row, opened) for row in rows]
    texts = {
        what: held_files.text(paths[what]) if paths.get(what) else statements.get(what, "")
        for what in STATEMENTS
    }
    if any(leaf is None for leaf in leaves):
        report.unproved.append(
            "their place in the log: leaf hashes are hidden; the openings show them (--openings)"
        )
    elif rows and not texts["checkpoint"]:
        report.unproved.append("that they are the log's: none of them is sealed")
    elif rows:
        _place(report, path, [leaf for leaf in leaves if leaf], texts, trust)
    if len(matched) < len(rows):
        shut = len(rows) - len(matched)
        report.unproved.append(
            f"that {shut} views are faithful: whoever redacted them chose what to show; ask for the openings"
        )


def _row_fault(row: Mapping[str, Any]) -> str:
    view, leaf, index = row["view"], row["leafHash"], row.get("logIndex")
    if not isinstance(view, dict) or not is_hash(row["commitment"]):
        return "it has no view, or no commitment"
    if leaf is not None and not is_hash(leaf):
        return "its leaf hash is none"
    if index is not None and (
        not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 1 << 62
    ):
        return "its log index is none"
    if view["requestKey"] != "" or "/requestKey" not in row["withheld"]:
        return "the key of its request is shown"
    for at in row["withheld"]:
        if not isinstance(_at(view, at), str):
            return f"{at} is said to be withheld, and is no text"
    return ""


def _at(data: Any, at: str) -> Any:
    for part in at.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            data = data[int(name)] if isinstance(data, list) else data[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return data


def _leaf(row: Mapping[str, Any], opened: Mapping[str, Mapping[str, Any]]) -> tuple[bytes, int | None] | None:
    if row["leafHash"] is not None:
        return bytes.fromhex(row["leafHash"]), row.get("logIndex")
    one = opened.get(row["view"]["uid"])
    if one is None:
        return None
    return bytes.fromhex(codec.leaf_hash(one["record"])), one["logIndex"]


def _read_openings(text: str, session: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Openings by uid, and the log's statements; a file of which lines were taken away opens the rest."""
    if not text:
        return {}, {}
    try:
        head, *lines = [json.loads(line) for line in text.split("\n") if line]
        if head["format"] != OPENINGS_FORMAT or head["session"] != session:
            raise KeyError("format")
        statements = {what: str(head["statements"].get(what, "")) for what in STATEMENTS}
        opened = {}
        for line in lines:
            if "meaning" in line:
                continue
            bytes.fromhex(line["salt"])
            if not isinstance(line["record"], str) or not isinstance(line["logIndex"], int | None):
                raise KeyError("record")
            opened[line["uid"]] = line
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            "The openings cannot be read, or are of another session.",
            hint="Give the file that `cairnops evidence redact` wrote beside this bundle.",
        ) from None
    return opened, statements


def _open(
    report: Report, path: str, rows: Sequence[Mapping[str, Any]], opened: Mapping[str, Mapping[str, Any]]
) -> set[str]:
    """The uids whose view was compared with its record."""
    there = {row["view"]["uid"] for row in rows}
    for uid in opened.keys() - there:
        report.tell("redacted.opening", path, f"the openings hold {uid}, the bundle does not")
    matched = set()
    for number, row in enumerate(rows, 1):
        one = opened.get(row["view"]["uid"])
        if one is None:
            continue
        report.claims += 1
        if fault := _opening_fault(row, one):
            report.tell("redacted.opening", f"{path}:{number}", fault)
        else:
            matched.add(row["view"]["uid"])
    if matched:
        report.proved.append(
            f"{len(matched)} opened records are those that were committed to, and their views show them faithfully"
        )
    return matched


def _opening_fault(row: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    if commitment(bytes.fromhex(one["salt"]), one["record"]) != row["commitment"]:
        return "the record in the openings is not the one that was committed to"
    if row["leafHash"] not in (None, codec.leaf_hash(one["record"])):
        return "its leaf hash is not that of the record that was committed to"
    record = json.loads(one["record"])
    if not isinstance(record, dict) or record.keys() != row["view"].keys():
        return "the view has other fields than the record"
    for at in _differing_any(record, row["view"]):
        if at == "/requestKey":
            continue
        if at not in row["withheld"] or not pseudonyms.fits(str(_at(row["view"], at)), str(_at(record, at))):
            return f"{at} is not what the record says"
    return ""


def _differing_any(old: Any, new: Any) -> list[str]:
    try:
        same_form = json.dumps(_form(old)) == json.dumps(_form(new))
        return list(differing(old, new)) if same_form else ["/"]
    except (KeyError, IndexError, TypeError):
        return ["/"]


def _form(data: Any) -> Any:
    """The data with every text blank: what must not change at all."""
    if isinstance(data, dict):
        return {k: _form(v) for k, v in sorted(data.items())}
    if isinstance(data, list):
        return [_form(v) for v in data]
    return "" if isinstance(data, str) else data


def _place(
    report: Report,
    path: str,
    leaves: Sequence[tuple[bytes, int | None]],
    texts: Mapping[str, str],
    trust: Trust,
) -> None:
    """Whether the leaf hashes, in their places, give the root that was signed."""
    try:
        head, note = checkpoints.read_checkpoint(texts["checkpoint"])
        part, part_note = checkpoints.read_extract(texts["extract"]) if texts["extract"] else (None, None)
    except BadNote as error:
        report.tell("ledger.checkpoint", path, f"the checkpoint or the extract cannot be used: {error}")
        return
    sealed = [(leaf, index) for leaf, index in leaves if index is not None]
    held: tuple[merkle.Span, ...] = part.held if part else ((0, head.size),) if head.size else ()
    due = [i for a, b in held for i in range(a, min(b, a + len(leaves) + 1))]
    if [index for _, index in sealed] != due:
        report.tell(
            "ledger.order",
            path,
            "records were dropped, put in or moved: their log indexes are not those signed for",
        )
        return
    if part and (part.origin, part.size, part.root) != (head.origin, head.size, head.root):
        report.tell("ledger.extract", path, "the extract and the checkpoint speak of different trees")
        return
    if part and part.session != report.session:
        report.tell("ledger.extract", path, f"the extract is of session {part.session!r}")
        return
    try:
        root = merkle.root_of_part(head.size, held, [leaf for leaf, _ in sealed], part.rest if part else ())
    except ValueError as error:
        report.tell("ledger.extract", path, f"the extract does not fit its tree: {error}")
        return
    if root != head.root:
        report.tell("ledger.root", path, "together the leaf hashes are not the log that was signed")
        return
    if len(sealed) < len(leaves):
        report.unproved.append(
            f"{len(leaves) - len(sealed)} records are not sealed: they can still be changed"
        )
    if _signed(report, path, head, [n for n in (note, part_note) if n], texts, trust):
        report.proved.append(
            f"the {len(sealed)} sealed records are those the log holds of this session: none dropped, put in or moved"
        )


def _signed(
    report: Report,
    path: str,
    head: Checkpoint,
    notes: Sequence[Note],
    texts: Mapping[str, str],
    trust: Trust,
) -> bool:
    given = trust.key or texts["key"]
    if not given:
        report.unproved.append("who signed the checkpoint: no public key was given")
        return True
    first = keys.public_key(given, head.origin)
    try:
        said = checkpoints.read_notes(texts["rotations"]) if texts["rotations"] else []
        steps = checkpoints.handed_over(said, keys.check)
        reachable = checkpoints.reachable(first, steps)
        for note in notes:
            if not checkpoints.signers_of(note, reachable, keys.check):
                report.tell("ledger.signature", path, "the log's statements are not signed by that key")
                return False
    except BadNote as error:
        report.tell("ledger.signature", path, f"the log's statements are not as they were signed: {error}")
        return False
    if not trust.key:
        report.unproved.append(
            "whose key that is: it lay in the bundle; give one you got another way with --key"
        )
    for raw in trust.old:
        _older(report, path, head, raw)
    return True


def _older(report: Report, path: str, head: Checkpoint, raw: bytes) -> None:
    """An earlier checkpoint can only be compared when it is of the same tree: the rest of the log is not here."""
    try:
        old, _ = checkpoints.read_checkpoint(raw)
    except BadNote as error:
        report.tell("ledger.old-checkpoint", path, f"the older checkpoint cannot be used: {error}")
        return
    if old.origin != head.origin or old.size > head.size:
        report.tell("ledger.old-checkpoint", path, "the older checkpoint is of another or of a longer log")
    elif (old.size, old.root) != (head.size, head.root):
        report.unproved.append(
            f"that the log begins with the {old.size} records of the older checkpoint (cairnops ledger prove)"
        )
