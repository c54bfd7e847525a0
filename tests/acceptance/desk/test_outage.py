"""The desk while the help desk is down, in a real browser: it is worked on, and what goes out later is still right."""

from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from cairnops.connectors.chatwoot import shapes
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.connectors.chatwoot.state import State
from cairnops.domain.conversations import Author, Conversation, Message, Status
from cairnops.workspace import now
from tests.acceptance.desk.conftest import ALEX, Visit, toasted
from tests.acceptance.desk.test_scenarios import open_case, receipt
from tests.app.server import serving

TOKEN = "t0ken"


def case(key: str, customer: str) -> Conversation:
    asked = now().replace(microsecond=0) - timedelta(hours=2)
    text = "Where is my order? The tracking has not moved."
    return Conversation(
        id=key,
        customer=customer,
        customer_key=f"c{key}@example.test",
        status=Status.OPEN,
        created_at=asked,
        messages=(Message(id=f"{key}1", author=Author.CUSTOMER, text=text, at=asked),),
    )


def answer(page: Page, customer: str) -> None:
    dialog = open_case(page, customer)
    dialog.get_by_label("Reply text").fill(f"Hi {customer}, we are looking into it.")
    dialog.get_by_role("button", name="Approve & send").click()
    expect(dialog).to_be_hidden()


def test_the_desk_is_worked_on_while_the_help_desk_is_down(
    workspace: Path, tmp_path: Path, visit: Visit
) -> None:
    held = tmp_path / "simulator.db"
    simulator = ChatwootSimulator(held, TOKEN).start()
    for key, customer in (("201", "Alex Rivera"), ("202", "Jordan Lee")):
        simulator.seed(shapes.to_seed(case(key, customer)))
    try:
        env = {"CHATWOOT_BASE_URL": simulator.base_url, "CHATWOOT_API_TOKEN": TOKEN}
        with serving(workspace, **env) as desk:
            page = visit(desk, ALEX)
            expect(page.get_by_role("row", name="Jordan Lee")).to_be_visible()
            simulator.stop()
            answer(page, "Alex Rivera")
            banner = page.get_by_role("alert").filter(has_text="The help desk has not answered since")
            expect(banner).to_contain_text("decisions are kept and sent later")
            answer(page, "Jordan Lee")
            toasted(page, "Saved, not yet sent")
            receipt(page, "Jordan Lee · Saved, not yet sent: the help desk has not answered since")

            # Meanwhile one of the customers writes again, which nobody here can see.
            offline = State(held, 1)
            offline.customer_says(202, "Never mind, it has just arrived!", int(now().timestamp()) + 60, "k")
            offline.close()
            simulator = ChatwootSimulator(held, TOKEN, port=simulator.port).start()
            toasted(page, "Reply sent to Alex Rivera")
            receipt(page, "Saved, not sent: the customer wrote again at")
            expect(banner).to_have_count(0)
            assert [m["conversation_id"] for m in simulator.messages() if m["run_key"]] == [201]
            # It waits in the queue with what the customer wrote, for a person to judge.
            expect(page.get_by_role("row", name="Jordan Lee")).to_contain_text("it has just arrived")
    finally:
        simulator.stop()
