"""Screenshots of a session as its desk shows it: which pages, under which names, and that nothing else was asked."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cairnops.domain.conversations import Actor, Role
from cairnops.errors import CairnError, SettingError
from cairnops.evidence.bundle import SCREENSHOTS
from cairnops.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SIZE = {"width": 1440, "height": 1000}
_WAIT_MS = 20_000
#: Streamlit has drawn everything, and nothing on the page is of an earlier run.
_STILL = (
    "() => { const app = document.querySelector('[data-testid=stApp]');"
    " return app?.dataset.testScriptState === 'notRunning'"
    " && !document.querySelector('[data-stale=true], [data-testid=stSkeleton]'); }"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One screenshot: its file, and what it shows."""

    path: Path
    shows: str


def capture(
    workspace: Workspace, session: str, actor: Actor, *, told: Callable[[Shot], None] = lambda _: None
) -> list[Shot]:
    """Open the session's desk in a headless Chromium, as `actor` in the role of QA, and file what it shows.

    For every scenario somebody was given: its place in the queue, the case, and each decision with its
    delivery; then the board and the results. Names begin with the scenario, so a bundle finds them. Nothing is
    claimed and nothing decided by looking.

    Raises:
        NotFound: when there is no such session.
        SettingError: when there is no Playwright or no Chromium.
        CairnError: when the desk does not start or a page does not come up.
    """
    workspace.sessions.get(session)
    browser_path = _browser()
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        raise SettingError(
            "Playwright is not installed.", hint="Install it: pip install 'cairnops[capture]'"
        ) from None
    folder = workspace.artifact_folder(session) / SCREENSHOTS
    folder.mkdir(exist_ok=True)
    shots: list[Shot] = []

    def keep(page: "Page", name: str, shows: str) -> None:
        page.wait_for_function(_STILL)
        page.evaluate("document.fonts.ready")
        shot = Shot(path=folder / f"{name}.png", shows=shows)
        page.screenshot(path=shot.path, animations="disabled", caret="hide")
        shots.append(shot)
        told(shot)

    with _desk(workspace.root) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=_ARGUMENTS)
        try:
            page = _page(browser, base)
            who = f"as={quote(f'{actor.email}:{Role.QA.value}')}&session={quote(session)}"
            for given in workspace.sessions.assignments(session):
                _scenario(page, f"{base}/?{who}", given, workspace, keep)
            for path, name in (("session", "board"), ("results", "results")):
                page.goto(f"{base}/{path}?{who}")
                keep(page, f"session-{name}", f"the {name} of {session}")
        except Error as error:
            said = str(error).splitlines()[0]
            raise CairnError(f"The desk could not be captured: {said}", hint="Try again.") from None
        finally:
            browser.close()
    return shots


def _scenario(
    page: "Page",
    address: str,
    given: dict[str, Any],
    workspace: Workspace,
    keep: Callable[["Page", str, str], None],
) -> None:
    conversation, scenario = given["conversation_id"], given["scenario"]
    name = f"{scenario}-{conversation}"
    page.goto(address)
    page.wait_for_function(_STILL)
    row = page.get_by_role("row", name=re.compile(rf"conversation {re.escape(conversation)}:"))
    row.scroll_into_view_if_needed()
    keep(page, f"{name}-1-queue", f"{conversation} in the queue")
    row.get_by_role("button").first.click()
    page.get_by_role("dialog").wait_for()
    keep(page, f"{name}-2-case", f"the case of {conversation}")
    made = workspace.ledger.decisions(conversation=conversation, scope="ops")
    for place, decision in enumerate(made, 3):
        number = decision["decisionId"]
        page.goto(f"{address.replace('/?', '/decisions?')}&decision={number}")
        keep(page, f"{name}-{place}-decision-{number}", f"decision {number} with its delivery")


_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def _page(browser: Any, base: str) -> "Page":
    context = browser.new_context(
        viewport=_SIZE,
        device_scale_factor=1,
        reduced_motion="reduce",
        color_scheme="light",
        timezone_id="UTC",
    )
    context.set_default_timeout(_WAIT_MS)
    # A picture is evidence of what this desk shows, not of what a message makes a browser fetch.
    context.route(
        "**/*",
        lambda route: (
            route.continue_() if route.request.url.startswith((base, "data:", "blob:")) else route.abort()
        ),
    )
    page: Page = context.new_page()
    return page


def _browser() -> str:
    """The Chromium of this machine.

    Raises:
        SettingError: when there is none.
    """
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise SettingError(
            "There is no Chromium on this machine.", hint="Install it: apt-get install chromium"
        )
    return found


@contextmanager
def _desk(root: Path) -> Iterator[str]:
    """A desk on the workspace for as long as it is looked at; its address.

    A process of its own, since the server wants the main thread and never gives it back.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "cairnops", "app", "--port", "0", "--workspace", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Nobody signs in here: it listens on this machine only and ends with the capture.
        env={name: value for name, value in os.environ.items() if not name.startswith("OIDC_")},
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        address = process.stdout.readline().strip().rstrip("/")
        if not address:
            said = process.stderr.read().strip().splitlines()
            raise CairnError(f"The desk did not start: {said[-1] if said else 'it said nothing'}")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
