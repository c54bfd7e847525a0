"""Signing in at a real identity provider: who acts is what its claims say, and nothing the address says."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cairnops.settings import Settings
from cairnops.workspace import Workspace
from tests.acceptance.desk.conftest import ALEX, settled, start
from tests.app.server import Desk, serving

# In a process of its own: the provider's libraries warn about each other.
_PROVIDER = """
import oidc_provider_mock as oidc
people = {
    "alex": {"email": "alex.kim@practice.example", "groups": ["cx-operators", "everybody"]},
    "quinn": {"email": "quinn@practice.example", "groups": ["cx-qa"]},
    "kit": {"email": "kit@practice.example", "groups": ["everybody"]},
    "eve": {"email": "alex.kim@practice.example", "email_verified": False, "groups": ["cx-operators"]},
}
users = [oidc.User(sub=sub, claims={"email_verified": True, **claims}) for sub, claims in people.items()]
with oidc.run_server_in_thread(user_claims=users) as server:
    print(server.server_port, flush=True)
    input()
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _PROVIDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdin and running.stdout
    yield f"http://127.0.0.1:{running.stdout.readline().strip()}"
    running.kill()
    running.communicate()


@pytest.fixture(scope="module")
def desk(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    workspace = tmp_path_factory.mktemp("signed") / "desk"
    start(workspace, ALEX, letters="A")
    with serving(
        workspace,
        OIDC_METADATA_URL=f"{provider}/.well-known/openid-configuration",
        OIDC_CLIENT_ID="desk",
        OIDC_CLIENT_SECRET="not-secret-here",
        OIDC_ROLES="cx-operators=operator, cx-qa=qa",
        CAIRNOPS_COOKIE_SECRET="x" * 40,
    ) as running:
        yield running


def sign_in(browser: Browser, desk: Desk, sub: str, address: str = "") -> Page:
    page = browser.new_context(viewport={"width": 1360, "height": 900}).new_page()
    page.goto(address or desk.url())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=sub, exact=True).first.click()
    page.wait_for_url(f"{desk.base}/**")
    settled(page)
    return page


def test_the_claims_say_who_acts_whatever_the_address_says(
    desk: Desk, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = sign_in(chromium, desk, "alex", desk.url("evil@x.example:admin", "thursday"))
    page.goto(desk.url("evil@x.example:admin", "thursday"))
    settled(page)
    expect(page.get_by_text("alex.kim@practice.example")).to_be_visible()
    expect(page.get_by_text("practice identity")).to_have_count(0)
    expect(page.get_by_role("link", name="Decisions")).to_have_count(0)
    page.get_by_role("row", name="Alex Rivera").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Approve & send").click()
    expect(page.get_by_test_id("toast").filter(has_text="Reply sent to Alex Rivera")).to_be_visible()
    with Workspace.open(Path(desk.log.with_suffix("")), Settings()) as w:
        (made,) = w.ledger.decisions(scope="ops")
    assert made["actor"] == {"email": "alex.kim@practice.example", "role": "operator"}
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_reader_sees_decisions_and_cannot_act(desk: Desk, chromium: Browser) -> None:
    page = sign_in(chromium, desk, "quinn")
    expect(page.get_by_role("link", name="Decisions")).to_be_visible()
    page.goto(desk.url(session="thursday"))
    settled(page)
    page.get_by_role("row", name="Alex Rivera").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    for name in ("Approve & send", "Escalate", "Mark resolved"):
        expect(dialog.get_by_role("button", name=name)).to_be_disabled()


def test_a_page_of_another_role_is_not_found(desk: Desk, chromium: Browser) -> None:
    page = sign_in(chromium, desk, "alex")
    page.goto(desk.url(page="decisions"))
    settled(page)
    expect(page.get_by_role("heading", name="Decisions")).to_have_count(0)


@pytest.mark.parametrize(
    ("sub", "says"),
    [
        pytest.param("kit", "is in no group that has a role here", id="no group with a role"),
        pytest.param("eve", "sent no verified e-mail address", id="an address nobody verified"),
    ],
)
def test_who_has_no_role_gets_no_further(desk: Desk, chromium: Browser, sub: str, says: str) -> None:
    page = sign_in(chromium, desk, sub)
    expect(page.get_by_text(says)).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)
    expect(page.get_by_alt_text("cairnops")).to_be_visible()
    expect(page.get_by_role("button", name="Fullscreen")).to_have_count(0)
