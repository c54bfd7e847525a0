"""Draws the README's pictures of the desk: a real desk, worked by a real browser."""

import asyncio
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from cairnops.connectors.chatwoot.admin import SimulatorAdmin
from cairnops.domain.conversations import Actor, Role
from cairnops.scenarios import practice, sessions
from cairnops.scenarios.loader import load_pack
from cairnops.settings import Settings
from cairnops.workspace import Workspace, now
from tests.app.server import Desk, serving

DOCS = Path(__file__).parents[2] / "cairnops" / "docs"
PEOPLE = [Actor(email=f"{name}@practice.example") for name in ("alex.kim", "sam.roe", "robin.day")]
LEAD = Actor(email="morgan.patel@practice.example", role=Role.LEAD)
_STILL = (
    "() => { const app = document.querySelector('[data-testid=stApp]');"
    " return app?.dataset.testScriptState === 'notRunning'"
    " && !document.querySelector('[data-stale=true], [data-testid=stSkeleton]'); }"
)


def prepared(folder: Path) -> None:
    """A live session of the four escalations, seeded to three operators."""
    pack = load_pack("cx-escalations")
    with Workspace.open(folder, Settings({})) as workspace:
        session, _ = sessions.begin(workspace, pack, "thursday", [*PEOPLE, LEAD], LEAD, live=now())
        sessions.measure(workspace, session, LEAD, now())

        async def seed() -> None:
            with workspace.help_desk() as remote:
                async with (
                    SimulatorAdmin(remote.base_url, remote.token) as admin,
                    workspace.client(remote) as client,
                ):
                    for scenario in pack.scenarios:
                        await practice.seed(
                            workspace,
                            client,
                            admin,
                            session,
                            scenario,
                            operators=PEOPLE,
                            at=now(),
                            actor=LEAD,
                        )

        asyncio.run(seed())


def still(page: Page) -> None:
    page.wait_for_function(_STILL)
    page.wait_for_timeout(600)


def opened(page: Page, customer: str) -> None:
    page.locator("tbody tr", has_text=customer).get_by_role("button").first.click()
    page.get_by_label("Reply text").wait_for()


def draw(desk: Desk) -> None:
    """Work a few cases, and keep the modal and the board."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )

        def visit(who: Actor, page: str = "", height: int = 820) -> Page:
            context = browser.new_context(
                viewport={"width": 1360, "height": height}, reduced_motion="reduce", timezone_id="UTC"
            )
            opened = context.new_page()
            opened.goto(desk.url(f"{who.email}:{who.role.value}", "thursday", page))
            still(opened)
            return opened

        for who, customers in ((PEOPLE[1], ["Alex Rivera", "Jordan Lee"]), (PEOPLE[2], ["Taylor Morgan"])):
            page = visit(who)
            for customer in customers:
                opened(page, customer)
                page.get_by_role("button", name="Approve & send").click()
                page.get_by_role("dialog").wait_for(state="detached")
                still(page)
        page = visit(PEOPLE[0], height=760)
        opened(page, "Jordan Lee")
        page.get_by_label("Reply text").fill(
            "I'm really sorry this item arrived faulty, Jordan. I can ship a replacement today or process a "
            "refund if you prefer — let me know which works best."
        )
        page.get_by_text("Your changes").locator("visible=true").first.wait_for()
        still(page)
        page.screenshot(path=DOCS / "desk.png", animations="disabled", caret="hide")
        lead = visit(LEAD, "session", height=820)
        lead.get_by_role("radio", name="Run").or_(
            lead.get_by_role("button", name="Run", exact=True)
        ).first.click()
        still(lead)
        lead.screenshot(path=DOCS / "board.png", animations="disabled", caret="hide")
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        prepared(Path(folder) / "desk")
        with serving(Path(folder) / "desk") as running:
            draw(running)
