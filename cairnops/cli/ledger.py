"""`ledger`: seal what was decided, hand out checkpoints and proofs, and check them without a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, existing, narrate, opened

if TYPE_CHECKING:
    from cairnops.evidence.proofs import Trust, Verification
    from cairnops.workspace import Workspace

app = typer.Typer(
    help="Proofs: seal the log, sign checkpoints, and check an export offline.", no_args_is_help=True
)

OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write (default: stdout).", show_default=False)
]


@app.command()
def seal(as_: ActorOption = None, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Seal what was decided since the last time: give each decision its place in the log and sign the tree.

    From then on nothing sealed can be changed, dropped or moved without anybody who kept the checkpoint seeing it.

    Example: cairnops ledger seal --as morgan@shop.example
    """
    from cairnops.workspace import now

    with opened(workspace) as w:
        sealed = w.seal(actor(as_, w.settings), now())
    signed = sealed.checkpoint
    data = {
        "added": sealed.added,
        "size": signed.size if signed else 0,
        "root": signed.root.hex() if signed else None,
        "checkpoint": signed.note if signed else None,
    }

    def tell() -> None:
        if signed is None:
            narrate("there are no decisions to seal")
            return
        if sealed.added:
            first, last = signed.size - sealed.added, signed.size - 1
            where = f"log index {first}" if first == last else f"log indexes {first}–{last}"
            render.say(f"sealed {wording.count(sealed.added, 'decision')}: {where}")
        else:
            render.say("nothing new to seal")
        render.lines([("log", wording.count(signed.size, "record")), ("root", signed.root.hex())])

    render.emit(data, as_json, tell)


@app.command()
def checkpoint(
    session: Annotated[
        str,
        typer.Option(
            "--session", "-s", help="Instead: which records this session has, signed.", show_default=False
        ),
    ] = "",
    kept: Annotated[
        bool, typer.Option("--kept", help="Instead: which records retention has left, signed.")
    ] = False,
    output: OutputOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the newest signed checkpoint: the log's size and root. Keep it, or give it to somebody who will.

    Once retention has removed decisions, an export is a part of the log: what `--kept` prints says which, and lies
    beside the export as `EXPORT.extract`.

    Example: cairnops ledger checkpoint -o checkpoint.txt
    """
    from cairnops.errors import InputError
    from cairnops.evidence import proofs

    if kept and session:
        raise InputError("--kept is about the whole log.", hint="Leave one of --kept and --session out.")
    with opened(workspace) as w:
        signed = proofs.newest(w)
        text = signed.note
        if session or kept:
            if session:
                w.sessions.get(session)
            text = proofs.extract(w, session, signed) or ""
            if not text:
                what = f"session {session}" if session else "what is there"
                narrate(f"{what} is the whole log: its checkpoint says it all")
                text = signed.note
        elif removed := len(w.seals.removed()):
            narrate(
                f"retention removed {removed} of them; an export needs cairnops ledger checkpoint --kept too"
            )
        waiting = w.seals.unsealed()
    if waiting:
        narrate(f"{wording.count(waiting, 'decision')} not sealed yet: cairnops ledger seal")
    data = {
        "size": signed.size,
        "root": signed.root.hex(),
        "at": signed.at,
        "actor": signed.actor,
        "unsealed": waiting,
        "note": text,
    }
    _hand_out(text, data, output, as_json)


@app.command()
def verify(
    export: Annotated[
        Path | None,
        typer.Argument(help="An export of decisions; with --proof, the record.", show_default=False),
    ] = None,
    checkpoint_file: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="What the log signed.",
            show_default="checkpoint.txt beside EXPORT",
        ),
    ] = None,
    old: Annotated[
        list[Path] | None,
        typer.Option("--old", metavar="FILE", help="A checkpoint you kept from before; may be repeated."),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            "--key", metavar="PUB", help="The public key you trust: a file or its text.", show_default=False
        ),
    ] = "",
    proof: Annotated[
        Path | None,
        typer.Option("--proof", metavar="FILE", help="Check this proof instead.", show_default=False),
    ] = None,
    extract: Annotated[
        Path | None,
        typer.Option(
            "--extract",
            metavar="FILE",
            help="Which part of the log EXPORT is.",
            show_default="EXPORT with .extract",
        ),
    ] = None,
    rotations: Annotated[
        Path | None,
        typer.Option(
            "--rotations",
            metavar="FILE",
            help="How one key followed another.",
            show_default="ledger.rotations beside EXPORT",
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also parse every record and make its canonical text anew.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check an export, or one record with its proof, offline: no workspace and no network is needed.

    Without a file, check the workspace's own database: every decision, its place in the log, all checkpoints and keys.

    Names the first record that is not as it was sealed, and says what was proved and what was not. Exit code 0
    proved, 1 something is wrong, 2 not readable, 3 nothing is wrong and not everything could be proved.

    Example: cairnops ledger verify decisions.ndjson --key .cairnops/keys/ledger.pub
    """
    from cairnops.errors import InputError
    from cairnops.evidence import proofs

    anchor = proof or export
    if anchor is None:
        if checkpoint_file or extract or rotations:
            raise InputError(
                "A database brings its own checkpoints and keys.",
                hint="Give what you kept with --old or --key.",
            )
        _finish(_database(workspace, _trust({}, key, old or [], None), deep=deep), as_json)
        return
    if workspace is not None:
        raise InputError(
            "A file is checked without a workspace.",
            hint="Leave out --workspace, or the file to check the database.",
        )
    found = proofs.beside(export or anchor)
    trust = _trust(found, key, old or [], rotations)
    if proof is not None:
        result = proofs.verify_proof(proofs.read_small(proof), subject=str(proof), record=export, trust=trust)
    else:
        note, part = checkpoint_file or found.get("checkpoint"), extract or found.get("extract")
        result = proofs.verify_export(
            anchor,
            checkpoint=proofs.read_small(note) if note else b"",
            extract=proofs.read_small(part) if part else b"",
            trust=trust,
            deep=deep,
        )
    _finish(result, as_json)


def _finish(result: "Verification", as_json: bool) -> None:
    render.emit(result.to_dict(), as_json, lambda: _tell(result))
    if result.exit_code:
        exits.leave(result.exit_code)


def _database(workspace: Path | None, trust: "Trust", *, deep: bool) -> "Verification":
    from cairnops.evidence import database

    with existing(workspace, hint="Name one with -w, or an export.") as w:
        return database.verify_database(w, trust=trust, deep=deep)


def _trust(found: dict[str, Path], key: str, old: list[Path], rotations: Path | None) -> "Trust":
    from cairnops.errors import InputError
    from cairnops.evidence import proofs

    def text(path: Path) -> str:
        try:
            return proofs.read_small(path).decode()
        except UnicodeDecodeError:
            raise InputError(f"{path} is no public key.", hint="Give a ledger.pub.") from None

    given = proofs.trusted_key(key) if key else ""
    steps = rotations or found.get("rotations")
    return proofs.Trust(
        key=given,
        beside=text(found["key"]) if "key" in found and not given else "",
        rotations=proofs.read_small(steps) if steps else b"",
        old=[proofs.read_small(path) for path in old],
    )


_VERDICTS = {
    "proved": "PROVED",
    "broken": "BROKEN: this is not what was sealed",
    "not proved": "NOT PROVED: nothing is wrong with it, and not everything could be shown",
}
_SHOWN = 10


def _tell(result: "Verification") -> None:
    render.say(f"{_VERDICTS[result.verdict]}\n")
    pairs: list[tuple[str, object]] = []
    if result.kind in ("export", "database"):
        if result.kind == "database":
            pairs.append(("database", result.subject))
        what = "rows" if result.kind == "export" else "decisions"
        pairs.append((what, f"{result.rows}, {result.sealed} of them in their place in the log"))
    if result.size is not None:
        pairs += [("log", f"{result.origin}, {wording.count(result.size, 'record')}"), ("root", result.root)]
    if result.key:
        pairs.append(("key", f"{result.fingerprint} (SHA-256)"))
    for finding in result.findings[:_SHOWN]:
        pairs.append(("wrong", f"{f'line {finding.line}: ' if finding.line else ''}{finding.what}"))
    if result.found > _SHOWN:
        pairs.append(("wrong", f"and {result.found - _SHOWN} more (--json lists the first fifty)"))
    pairs += [("proved", said) for said in result.proved]
    pairs += [("not proved", said) for said in result.unproved]
    render.lines(pairs)


@app.command()
def prove(
    decision: Annotated[str, typer.Argument(help="A decision id (104) or uid.", show_default=False)] = "",
    since: Annotated[
        Path | None,
        typer.Option(
            "--since",
            metavar="FILE",
            help="Instead: that the log only grew since this checkpoint.",
            show_default=False,
        ),
    ] = None,
    output: OutputOption = None,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record", metavar="FILE", help="Write the record it is about as well.", show_default=False
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a proof small enough for a ticket: that a decision is in the signed log, or that the log only grew.

    Example: cairnops ledger prove 102 -o 102.tlog-proof --record 102.ndjson
    """
    from cairnops.errors import InputError
    from cairnops.evidence import exports, proofs
    from cairnops.telemetry.writer import write_ndjson

    if bool(decision) == (since is not None):
        raise InputError("A proof is of a decision, or of growth.", hint="Give an ID, or --since FILE.")
    with opened(workspace) as w:
        if since is not None:
            grown = proofs.prove_since(w, proofs.read_small(since))
            text = grown.text
            data: dict[str, object] = {"old": grown.old, "hashes": len(grown.steps), "proof": text}
        else:
            found = _decision(w, decision)
            made = proofs.prove(w, found["uid"])
            text = made.text
            data = {
                "decisionId": found["decisionId"],
                "uid": found["uid"],
                "leafHash": found["leafHash"],
                "logIndex": made.index,
                "proof": text,
            }
            if record is not None:
                if "session" not in found:
                    raise InputError("Retention has removed the record.", hint="Leave --record out.")
                rows = exports.rows(w.ledger, "decisions", session=found["session"])
                write_ndjson(record, [row for row in rows if row["uid"] == found["uid"]])
    _hand_out(text, data, output, as_json)


def _decision(workspace: "Workspace", text: str) -> dict[str, Any]:
    """The decision's record, or what retention has left of it."""
    from cairnops.errors import NotFound

    is_number = text.isascii() and text.isdecimal() and len(text) < 19 and int(text) > 0
    found = (
        workspace.ledger.decisions(number=int(text)) if is_number else workspace.ledger.decisions(uid=text)
    )
    for stone in () if found else workspace.retention.tombstones():
        if text in (stone.uid, str(stone.number)):
            return {"uid": stone.uid, "decisionId": stone.number, "leafHash": stone.leaf_hash}
    if not found:
        raise NotFound(f"There is no decision {text}.", hint="cairnops decisions list --scope all")
    return found[0]


@app.command()
def rotate(as_: ActorOption = None, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Sign with a fresh key from here on; the old one signs the handing over, and is gone then.

    Example: cairnops ledger rotate --as admin@shop.example:admin
    """
    from cairnops.workspace import now

    with opened(workspace) as w:
        held = w.rotate_key(actor(as_, w.settings), now())
    data = {"key": str(held.key), "fingerprint": held.key.fingerprint, "statement": held.statement}
    render.emit(
        data,
        as_json,
        lambda: render.lines([("key", str(held.key)), ("fingerprint", f"{held.key.fingerprint} (SHA-256)")]),
    )


@app.command()
def keys(
    statements: Annotated[
        bool, typer.Option("--statements", help="Print the signed statements of handing over instead.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the log's public keys, the one in force last: what to hand to whoever will verify.

    Example: cairnops ledger keys
    """
    from cairnops.evidence import proofs

    with opened(workspace) as w:
        held = w.seals.held_keys()
        present = w.signer().key
        text = proofs.rotations(w)
    rows = [
        {
            "key": str(h.key),
            "fingerprint": h.key.fingerprint,
            "since": h.at,
            "by": h.actor,
            "statement": h.statement,
        }
        for h in held
    ] or [{"key": str(present), "fingerprint": present.fingerprint, "since": "", "by": "", "statement": ""}]

    def tell() -> None:
        if statements:
            render.raw(text)
            return
        for row in rows:
            since = (
                f"since {wording.moment(row['since'])} UTC, by {row['by']}"
                if row["since"]
                else "not used yet"
            )
            render.lines(
                [("key", row["key"]), ("fingerprint", f"{row['fingerprint']} (SHA-256)"), ("in use", since)]
            )

    render.emit(rows, as_json, tell)


def _hand_out(text: str, data: dict[str, object], output: Path | None, as_json: bool) -> None:
    from cairnops.telemetry.writer import write_whole

    if output is not None:
        write_whole(output, text)
        narrate(f"wrote {wording.count(len(text.encode()), 'byte')}")
        render.raw(f"{render.safe(output)}\n")
        return
    render.emit(data, as_json, lambda: render.raw(text))
