"""A browser beside a desk that runs as people start it; nothing but the desk itself may be asked for anything."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Response, expect, sync_playwright

from cairnops.connectors.chatwoot.admin import SimulatorAdmin
from cairnops.domain.conversations import Actor, Conversation, Role
from cairnops.scenarios import practice, sessions
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.model import Pack
from cairnops.settings import Settings
from cairnops.workspace import Workspace, now
from tests.app.conftest import engine, settle
from tests.app.server import Desk, serving

ALEX = Actor(email="alex.kim@practice.example")
SAM = Actor(email="sam.roe@practice.example")
MORGAN = Actor(email="morgan.patel@practice.example", role=Role.LEAD)

# A busy machine is no failure; nothing here is timed.
expect.set_options(timeout=60_000)

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


# Not for longer than a module: Playwright keeps a loop running, beside which no other test of the process could
# start one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=engine(), args=_ARGUMENTS)
        yield browser
        browser.close()


Visit = Callable[..., Page]

# A toast leaves after seconds, whether or not anybody had time to look: each is noted as it comes.
_TOASTS = """addEventListener("DOMContentLoaded", () => {
    window.toasts = new Map();
    new MutationObserver(() => {
        for (const n of document.querySelectorAll("[data-testid=toast]")) {
            if (toasts.get(n) !== null && n.textContent && n.checkVisibility()) toasts.set(n, n.textContent);
        }
    }).observe(document, { childList: true, subtree: true, characterData: true });
})"""
_TOASTED = """(text) => {
    for (const [n, said] of toasts) if (said?.includes(text)) return toasts.set(n, null);
}"""

_STOPPED = """addEventListener("securitypolicyviolation",
    (event) => console.log("cairnops-stopped", event.violatedDirective, event.blockedURI))"""


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Open a page of the desk as somebody.

    Every request to anywhere else is refused, and fails the test; so does an answer without the content
    policy, anything the browser stopped because of it, and a script that failed.
    """
    astray: list[str] = []
    wrong: list[str] = []
    contexts = []

    def open_page(
        desk: Desk, who: Actor | None = None, session: str = "", page: str = "", **options: Any
    ) -> Page:
        context = chromium.new_context(
            **({"viewport": {"width": 1360, "height": 900}, "reduced_motion": "reduce"} | options)
        )
        contexts.append(context)
        context.set_default_timeout(60_000)

        def guard(route: Any) -> None:
            if route.request.url.startswith((desk.base, "data:", "blob:")):
                route.continue_()
            else:
                astray.append(route.request.url)
                route.abort()

        def answered(response: Response) -> None:
            ours = response.url.startswith(desk.base)
            if ours and response.headers.get("content-security-policy", "").count("'self'") < 5:
                wrong.append(f"no content policy on {response.url}")

        def line(page: Page) -> None:
            page.on("websocket", lambda socket: far(socket.url))

        def far(url: str) -> None:
            if not url.startswith(desk.base.replace("http", "ws", 1)):
                astray.append(url)

        context.route("**/*", guard)
        context.on("response", answered)
        context.on("page", line)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.add_init_script(_STOPPED)
        context.add_init_script(_TOASTS)
        context.on(
            "console", lambda said: wrong.append(said.text) if "cairnops-stopped" in said.text else None
        )
        opened = context.new_page()
        opened.goto(desk.url(f"{who.email}:{who.role.value}" if who else "", session, page))
        settled(opened)
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert astray == []
    assert wrong == []


def settled(page: Page) -> None:
    """Wait until Streamlit has nothing left to draw."""
    settle(page)


def toasted(page: Page, text: str) -> None:
    """Wait for a toast with that text, there or gone again; each counts once."""
    page.wait_for_function(_TOASTED, arg=text)


def chosen(dialog: Locator, label: str, option: str) -> None:
    """Choose from a list of the dialog; the list itself opens beside it."""
    dialog.get_by_label(label, exact=True).click()
    dialog.page.get_by_role("option", name=option, exact=True).click()
    settled(dialog.page)


def leave(page: Page) -> None:
    """Close the dialog by Escape, once the page has come to rest and the keys are the dialog's again."""
    settled(page)
    expect(page.locator("[role=dialog]:focus-within")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def kept(workspace: Path, note: str) -> None:
    """Wait until the draft with that note is in the database."""
    until = time.monotonic() + 30
    with Workspace.open(workspace, Settings()) as w:
        while True:
            if any(draft.note == note for draft in w.drafts.mine(ALEX.email)):
                return
            assert time.monotonic() < until
            time.sleep(0.05)


@contextmanager
def rehearsal(workspace: Path, *people: Actor, **how: Any) -> Iterator[Desk]:
    """A live session of the CX escalations, seeded as `start` does it, with the desk open on it."""
    start(workspace, *people, **how)
    with serving(workspace) as desk:
        yield desk


def start(
    workspace: Path,
    *people: Actor,
    letters: str = "ABCD",
    name: str = "thursday",
    mode: Any = "practice",
    shared: bool = False,
    pack: Pack | None = None,
    others: Sequence[Conversation] = (),
) -> None:
    """Start the session and seed its scenarios to each of the people, or one copy for all of them.

    `others` wait at the help desk besides, outside the session.
    """
    pack = pack or load_pack("cx-escalations")
    with Workspace.open(workspace, Settings()) as w:
        session, _ = sessions.begin(w, pack, name, [*people, MORGAN], MORGAN, live=now(), mode=mode)
        operators = () if shared else people

        async def seed() -> None:
            with w.help_desk() as remote:
                async with (
                    SimulatorAdmin(remote.base_url, remote.token) as admin,
                    w.client(remote) as client,
                ):
                    for other in others:
                        await admin.seed(other)
                    for scenario in pack.scenarios:
                        if scenario.letter in letters:
                            await practice.seed(
                                w,
                                client,
                                admin,
                                session,
                                scenario,
                                operators=operators,
                                at=now(),
                                actor=MORGAN,
                            )

        # Playwright's own loop runs in this thread.
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(lambda: asyncio.run(seed())).result()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "desk"
