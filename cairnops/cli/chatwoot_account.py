"""`chatwoot smoke`, `seed` and `unseed`: is the account set up, and a pack's cases in it to practise on."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate

if TYPE_CHECKING:
    from pathlib import Path

    from cairnops.connectors.chatwoot.client import ChatwootClient
    from cairnops.connectors.checks import Line
    from cairnops.settings import Settings

T = TypeVar("T")

#: Patience with somebody else's server; these commands are no rehearsal.
DEADLINE_MS = 10_000
#: And when it says that it is asked too often.
PATIENCE_MS = 120_000

PackOption = Annotated[str, typer.Option("--pack", "-p", help="A shipped pack's id, or a file.")]
OwnOption = Annotated[
    str, typer.Option("--session", "-s", help="A copy of its own for this session.", show_default=False)
]

_SIGNS = {"ready": "ok", "blocked": "bad", "not checked": "none"}


def smoke(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check the Chatwoot account: server, token, role, inboxes, reading, writing, labels, assignment, SLA.

    Nothing is written there. Every line is ready, blocked, or not checked, with what to do. Exit code 1 when
    one is blocked. The account is the one CHATWOOT_BASE_URL, CHATWOOT_ACCOUNT_ID and CHATWOOT_API_TOKEN name.

    Example: cairnops chatwoot smoke
    """
    from pathlib import Path

    from cairnops.settings import Settings

    settings = Settings()
    found, _ = look(settings, workspace or Path(settings["CAIRNOPS_HOME"]))

    def tell() -> None:
        render.table(
            ("", "State", "Found", "What to do"),
            [(line.what, (_SIGNS[line.state], line.state), line.detail, line.fix) for line in found],
            wrap=("Found", "What to do"),
        )

    render.emit([asdict(line) for line in found], as_json, tell)
    exits.findings([line for line in found if line.state == "blocked"])


def seed(
    pack: PackOption = "cx-escalations",
    session: OwnOption = "",
    live: Annotated[
        bool,
        typer.Option("--into-live-account", help="Also into an account that nothing marks as a sandbox."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a pack's conversations into a sandbox account of Chatwoot, each as it stands when its scenario begins.

    They get an API inbox of their own and made-up customers without an e-mail address, so nobody real can be
    reached. Seeding again changes nothing and finishes what was interrupted. An account counts as a sandbox
    when the server runs on this machine or the account's name has the word sandbox in it.

    Example: cairnops chatwoot seed --pack cx-escalations
    """
    from cairnops import codec
    from cairnops.cli.common import session_name
    from cairnops.connectors.chatwoot.sandbox import Case, Put, Sandbox
    from cairnops.errors import InputError
    from cairnops.scenarios.loader import load_pack
    from cairnops.workspace import now

    loaded = load_pack(pack)
    cases = [Case(pack=loaded.id, scenario=s.id, world=s.conversation) for s in loaded.scenarios]
    own = session_name(session) if session else ""

    async def put(client: "ChatwootClient") -> "list[Put]":
        sandbox = Sandbox(client)
        name = await sandbox.account()
        if not (live or sandbox.why(name)):
            raise InputError(
                f"Account {client.account_id} ({name}) at {client.base_url} is not marked as a sandbox.",
                hint="Put the word sandbox into its name; or say --into-live-account.",
            )
        return await sandbox.fill(cases, now().replace(microsecond=0), own)

    rows = _asked(put)
    if any(s.world.faults for s in loaded.scenarios):
        narrate("the pack's faults of the help desk are the simulator's, and left out")
    render.emit(
        [codec.record(row) for row in rows],
        as_json,
        lambda: render.table(
            ("Scenario", "Customer", "Conversation", "Began (UTC)", "State"),
            [
                (r.scenario, r.customer, r.conversation, wording.moment(codec.stamp(r.began)), r.state)
                for r in rows
            ],
            wrap=("Scenario", "Customer"),
        ),
    )


def unseed(
    pack: PackOption = "cx-escalations",
    session: OwnOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take away what `chatwoot seed` put there for this pack and session, and nothing else.

    The inbox stays for the next time. Chatwoot lets only administrators remove conversations.

    Example: cairnops chatwoot unseed --pack cx-escalations
    """
    from cairnops.connectors.chatwoot.sandbox import Removed, Sandbox
    from cairnops.scenarios.loader import load_pack

    wanted = load_pack(pack).id

    async def clear(client: "ChatwootClient") -> "Removed":
        return await Sandbox(client).clear(wanted, session)

    gone = _asked(clear)
    counted = (
        wording.count(len(gone.conversations), "conversation"),
        wording.count(gone.contacts, "contact"),
    )
    render.emit(asdict(gone), as_json, lambda: render.raw(f"{' and '.join(counted)} removed\n"))


def look(settings: "Settings", root: "Path") -> "tuple[list[Line], str]":
    """The lines of the help desk in use, and the Date its server answered with (empty without one)."""
    import asyncio

    from cairnops.connectors.chatwoot import smoke as checks
    from cairnops.connectors.chatwoot.client import ChatwootClient
    from cairnops.connectors.checks import Line, blocked
    from cairnops.errors import CairnError
    from cairnops.policy_file import load_policy
    from cairnops.workspace import reads

    base = settings["CHATWOOT_BASE_URL"]
    if not base:
        said = "the simulator of this workspace; CHATWOOT_BASE_URL is not set"
        return [Line(what=checks.SERVER, state="ready", detail=said)], ""
    if not settings["CHATWOOT_API_TOKEN"]:
        return [
            Line(
                what=checks.SERVER,
                state="blocked",
                detail=f"{base}: CHATWOOT_API_TOKEN is not set",
                fix="Set it to the access token of an agent's profile page.",
            )
        ], ""

    async def ask() -> "tuple[list[Line], str]":
        policy = load_policy(root / "policy.yaml", settings).policy
        async with ChatwootClient(
            base,
            settings["CHATWOOT_ACCOUNT_ID"],
            settings["CHATWOOT_API_TOKEN"],
            timeout_ms=DEADLINE_MS,
            reads=reads(settings),
        ) as client:
            return await checks.check(client, policy)

    try:
        return asyncio.run(ask())
    except CairnError as error:
        return [blocked(checks.SERVER, error)], ""


def _asked(what: "Callable[[ChatwootClient], Awaitable[T]]") -> T:
    """What the account in use answers; the simulator of a workspace is none, it is gone when the command ends."""
    import asyncio

    from cairnops.connectors.chatwoot.client import ChatwootClient
    from cairnops.errors import RemoteError, SettingError
    from cairnops.settings import Settings

    settings = Settings()
    for name in ("CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN"):
        if not settings[name]:
            raise SettingError(
                f"{name} is not set.",
                hint="cairnops chatwoot serve starts a simulator and says what to set; session seed needs neither.",
            )

    async def ask() -> T:
        async with ChatwootClient(
            settings["CHATWOOT_BASE_URL"],
            settings["CHATWOOT_ACCOUNT_ID"],
            settings["CHATWOOT_API_TOKEN"],
            timeout_ms=DEADLINE_MS,
            patience_ms=PATIENCE_MS,
        ) as client:
            return await what(client)

    try:
        return asyncio.run(ask())
    except RemoteError as error:
        again = "What was done stays; the same command goes on from there."
        raise RemoteError(str(error), hint=f"{error.hint} {again}".strip()) from None
