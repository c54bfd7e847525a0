"""`evidence`: bundle a session for somebody else, verify a bundle, and show it without its customers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened

if TYPE_CHECKING:
    from cairnops.evidence.payload import Report
    from cairnops.evidence.redact import Redaction

app = typer.Typer(help="Evidence bundles: write, verify, redact.", no_args_is_help=True)

BagArgument = Annotated[Path, typer.Argument(help="The bundle: a folder or a .zip.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Replace what lies under that name.")]


@app.command()
def capture(
    session: Annotated[str, typer.Argument(help="The session's name.")],
    as_: ActorOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """File screenshots of a session's desk: queue, case and decision of each scenario, the board, the results.

    Drives this machine's Chromium, unseen. A bundle takes the pictures along and finds what each shows.

    Example: cairnops evidence capture cx-escalations
    """
    from cairnops.evidence import capture as captures

    with opened(workspace) as w:
        made = captures.capture(
            w, session, actor(as_, w.settings), told=lambda shot: narrate(f"{shot.path.name}: {shot.shows}")
        )
        folder = w.artifact_folder(session) / "screenshots"
    data = {"folder": str(folder), "screenshots": [{"file": s.path.name, "shows": s.shows} for s in made]}
    render.emit(data, as_json, lambda: render.say(f"{wording.count(len(made), 'screenshot')} in {folder}"))


@app.command()
def bundle(
    session: Annotated[str, typer.Argument(help="The session's name.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A new folder, or a .zip file (default: a .zip beside the session's artifacts).",
            show_default=False,
        ),
    ] = None,
    seal: Annotated[bool, typer.Option("--seal", help="Seal the ledger first.")] = False,
    replace: ReplaceOption = False,
    as_: ActorOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a session's evidence as one BagIt bag: exports, checkpoint, gates, worksheet, results, report.

    Whole or not at all. The same session gives the same files, to the last byte. A report.html beside the
    session's artifacts is taken along in place of a fresh one.

    Example: cairnops evidence bundle cx-escalations --seal -o cx-escalations.zip
    """
    from cairnops import codec
    from cairnops.evidence import bundle as bundles
    from cairnops.workspace import now

    with opened(workspace) as w:
        if seal:
            w.seal(actor(as_, w.settings), now())
        target = output or bundles.default_name(w, session)
        made = bundles.write(
            w, session, target, at=now(), replace=replace, page=lambda: bundles.report_of(w, session)
        )
    data = {**codec.record(made), "kept": {**codec.record(made.kept), "path": str(made.kept.path)}}

    def tell() -> None:
        if made.kept.unchanged:
            narrate("the same bundle was there already; it stays as it is")
        sealed = "not sealed (cairnops ledger seal)"
        if made.sealed is not None:
            left = (
                f", {wording.count(made.unsealed, 'decision')} of it not sealed yet" if made.unsealed else ""
            )
            sealed = f"checkpoint of {wording.count(made.sealed, 'record')}{left}"
        counts = made.counts
        render.say(f"bundle of session {session}: {made.kept.path}")
        render.lines(
            [
                ("files", f"{made.kept.files}, {made.kept.bytes} bytes"),
                (
                    "decisions",
                    f"{counts['decisions']}; worksheet {wording.count(counts['worksheetRows'], 'row')}",
                ),
                ("ledger", sealed),
                ("fingerprint", made.kept.fingerprint),
            ],
            indent="  ",
        )
        narrate(f"next: cairnops evidence verify {output or made.kept.path}")

    render.emit(data, as_json, tell)


@app.command()
def verify(
    bag: BagArgument,
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="PUB",
            help="A public key you got another way than with the bundle: a file or its text.",
            show_default=False,
        ),
    ] = "",
    old: Annotated[
        list[Path] | None,
        typer.Option("--old", metavar="FILE", help="A checkpoint you kept from before; repeat the option."),
    ] = None,
    openings: Annotated[
        Path | None,
        typer.Option("--openings", help="What a redaction withheld, to compare it.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle offline: its bag, its ledger, every claim in it, and that nothing needed is missing.

    No workspace is needed. Exit code 1 when anything is found, 2 when it cannot be read safely.

    Example: cairnops evidence verify cx-escalations.zip
    """
    from cairnops.evidence import proofs
    from cairnops.evidence import verify as verifying

    trust = verifying.Trust(
        key=proofs.trusted_key(key) if key else "",
        old=[proofs.read_small(path) for path in old or []],
        openings=_text(openings),
    )
    report = verifying.verify(bag, trust=trust)
    render.emit(report.to_dict(), as_json, lambda: _verified(report))
    exits.findings(report.found)


def _text(path: Path | None) -> str:
    from cairnops.errors import InputError
    from cairnops.evidence import proofs

    try:
        return proofs.read_small(path).decode() if path else ""
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text.", hint="Check which file you gave.") from None


def _verified(report: "Report") -> None:
    required = [n for n in report.needs if n.required]
    there = sum(not n.missing for n in required)
    optional = [n for n in report.needs if not n.required]
    verdict = f"{wording.count(report.found, 'finding')}" if report.found else "verified"
    what = "redacted bundle" if report.kind == "redacted" else "bundle"
    render.say(f"{what} of session {report.session or '?'}: {verdict}")
    rows: list[tuple[str, object]] = [
        ("claims", f"{report.claims} compared with what they are about"),
        (
            "complete",
            f"{there} of {len(required)} required, {sum(bool(n.found) for n in optional)} of {len(optional)} optional",
        ),
    ]
    rows += [("proved", said) for said in report.proved]
    rows += [("not proved", said) for said in report.unproved]
    if report.fingerprint:
        rows.append(("fingerprint", report.fingerprint))
    render.lines(rows, indent="  ")
    if report.needs:
        render.say()
        render.table(
            ("Scenario", "Operator", "Evidence", "There"),
            [(n.scenario, n.operator, n.kind, _there(n.required, n.found)) for n in report.needs],
            wrap=("Operator", "Scenario", "There"),
        )
    if report.faults:
        render.say()
        render.table(
            ("Finding", "Where, and what"),
            [(("bad", f.code), [f.where, f.what]) for f in report.faults],
            wrap=("Where, and what",),
        )
        if report.found > len(report.faults):
            render.say(f"… and {report.found - len(report.faults)} more")


def _there(required: bool, found: str) -> tuple[str, str]:
    if found:
        return "ok", found
    return ("bad", "missing") if required else ("none", "optional")


@app.command()
def redact(
    bag: BagArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The redacted bundle: a new folder, or a .zip.")
    ],
    openings: Annotated[
        Path | None,
        typer.Option(
            "--openings", help="Where to keep what proves it (default: beside it).", show_default=False
        ),
    ] = None,
    staff: Annotated[
        bool, typer.Option("--staff", help="Replace participants' e-mail addresses too.")
    ] = False,
    show_hashes: Annotated[
        bool,
        typer.Option(
            "--show-hashes",
            help="Show leaf hashes even where one confirms a right guess of what was replaced.",
        ),
    ] = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle in which customers are pseudonyms, the same everywhere, and decisions stay verifiable.

    Records are not rewritten: views of them are shown beside salted commitments, and beside their leaf hashes where
    no guess can be confirmed by one. The openings undo the redaction; they are yours, and never lie in the bundle.

    Example: cairnops evidence redact cx-escalations.zip -o for-the-vendor.zip
    """
    import secrets

    from cairnops import codec
    from cairnops.evidence import pseudonyms
    from cairnops.evidence import redact as redacting
    from cairnops.workspace import now

    kept = openings or output.with_name(f"{output.stem}.openings.ndjson")
    made = redacting.redact(
        bag,
        output,
        kept,
        at=now(),
        secret=secrets.token_bytes(32),
        staff=staff,
        show_hashes=show_hashes,
        replace=replace,
    )
    data: dict[str, Any] = {
        **codec.record(made),
        "kept": {**codec.record(made.kept), "path": str(made.kept.path)},
        "openings": str(made.openings),
        "notFound": list(pseudonyms.NOT_FOUND),
    }
    render.emit(data, as_json, lambda: _redacted(made, pseudonyms.NOT_FOUND))


def _redacted(made: "Redaction", not_found: tuple[str, ...]) -> None:
    replaced = ", ".join(f"{number} {kind}" for kind, number in made.replaced.items())
    render.say(f"redacted bundle: {made.kept.path}")
    rows: list[tuple[str, object]] = [
        ("replaced", f"{replaced} passages"),
        ("openings", f"{made.openings} (keep it apart: it undoes the redaction)"),
    ]
    rows += [("left out", path) for path in made.withheld]
    rows += [("still there", where) for where in made.left]
    rows += [("not found", what) for what in not_found]
    render.lines(rows, indent="  ")
    if made.guessable:
        why = f"{wording.count(len(made.guessable), 'decision')} made under keys that can be guessed (scripted runs)"
        narrate(
            f"leaf hashes are left out: {why}; the place in the log is proved with the openings"
            if made.hidden
            else f"leaf hashes confirm a right guess of what was replaced in {why}"
        )
