"""A real browser that may reach this machine only, and the stage on which components are tried."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

import cairnops.app
from cairnops.app import launch

ROOT = Path(__file__).parents[2]
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
# The shell is the same engine without a browser's own windows, which take as long to draw as our pages.
_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]

expect.set_options(timeout=60_000)


def engine() -> str:
    """The Chromium of this machine."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert found, f"these tests need one of {', '.join(_BROWSERS)}; make test installs them on Debian"
    return found


# Not for longer than a module: Playwright keeps a loop running, beside which no other test of the process could
# start one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=engine(), args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a browser of its own; whatever asks for another machine fails the test."""
    contexts: list[BrowserContext] = []
    away: list[str] = []

    def guard(route: Route) -> None:
        if urlsplit(route.request.url).hostname in ("127.0.0.1", "localhost"):
            route.continue_()
        else:
            away.append(route.request.url)
            route.abort()

    def visit(url: str, *, scheme: str = "light", width: int = 1280, height: int = 900, at: int = 0) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
        )
        contexts.append(context)
        context.route(re.compile(r"^https?://"), guard)
        page = context.new_page()
        page.set_default_timeout(60_000)
        if at:
            page.clock.install(time=at / 1000)
        page.goto(url)
        settle(page)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert away == [], "something asked for another machine"


def settle(page: Page) -> None:
    """Wait until the script has run, everything it sent is drawn, and the fonts are there."""
    page.wait_for_selector(SETTLED)
    expect(page.locator("[data-stale=true]")).to_have_count(0)
    page.evaluate("document.fonts.ready")


def violations(page: Page) -> list[str]:
    """What axe finds wrong on the page, WCAG 2.2 A and AA and best practice; one line a node."""
    found = Axe().run(page)
    return [f"{v['id']}: {node['html'][:200]}" for v in found.response["violations"] for node in v["nodes"]]


def in_light_and_dark(page: Page) -> list[str]:
    """`violations` of the page as it is, in dark and then in light."""
    found = []
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", scheme)
        settle(page)
        found += [f"{scheme}: {fault}" for fault in violations(page)]
    return found


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Serves `stage.py`; the fixture makes the address of a scene."""
    home = tmp_path_factory.mktemp("stage")
    script = home / "stage.py"
    script.write_text("from tests.app.stage import main\n\nmain()\n", encoding="utf-8")
    (home / "static").symlink_to(Path(cairnops.app.__file__).parent / "front" / "static")
    port = launch.free("127.0.0.1", 0)
    log = home / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.app.stage_server", str(script), str(port)],
            cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ},
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=12), trust_env=False) as client:
            assert client.get(f"{base}/_stcore/health").text == "ok", log.read_text()
        yield lambda scene="", **more: "&".join(
            [f"{base}/?scene={scene}", *(f"{k}={v}" for k, v in more.items())]
        )
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
