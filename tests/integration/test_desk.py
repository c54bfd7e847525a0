"""The desk with its real ledger, worker and help desk: what a failed delivery leaves an operator able to do."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cairnops.connectors.chatwoot.shapes import to_seed
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.desk.desk import Receipt
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.requests import Action, Flags, Request
from cairnops.settings import Settings
from cairnops.workspace import Remote, Workspace

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
ALEX, SAM = Actor(email="alex@shop.example"), Actor(email="sam@shop.example")
CASE = Conversation(
    id="77",
    customer="Robin Hale",
    customer_key="robin@customers.example",
    status=Status.OPEN,
    created_at=NOW - timedelta(hours=2),
    messages=(
        Message(id="77001", author=Author.CUSTOMER, text="Where is my order?", at=NOW - timedelta(hours=2)),
    ),
)


class Desk:
    """Alex and Sam at one desk, with a simulator whose faults a test chooses."""

    def __init__(self, workspace: Workspace, simulator: ChatwootSimulator):
        self.workspace, self.simulator = workspace, simulator
        self.remote = Remote(base_url=simulator.base_url, account_id=1, token=simulator.token, simulated=True)
        self.desk = workspace.desk(lambda: NOW, Flags())

    def observe(self) -> None:
        async def read() -> Conversation:
            async with self.workspace.client(self.remote) as client:
                return await client.conversation("77")

        self.desk.observe(asyncio.run(read()), ALEX)

    def ask(self, who: Actor, key: str, action: Action, **more: Any) -> Receipt:
        return self.desk.submit(Request(action=action, conversation="77", actor=who, key=key, **more))

    def deliver(self) -> list[tuple[str, str]]:
        async def drain() -> None:
            async with self.workspace.client(self.remote) as client:
                await self.workspace.deliver(client)

        asyncio.run(drain())
        return [(d["kind"], d["final"]["status"]) for d in self.workspace.ledger.deliveries()]

    def replies(self) -> list[str]:
        return [m["content"] for m in self.simulator.messages(77) if m["message_type"] == 1]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Desk]:
    with (
        ChatwootSimulator(tmp_path / "simulator.db") as simulator,
        Workspace.open(tmp_path / "w", Settings({})) as workspace,
    ):
        simulator.seed(to_seed(CASE))
        room = Desk(workspace, simulator)
        room.observe()
        yield room


def fault(call: str, action: str, attempts: list[int]) -> dict[str, Any]:
    return {"match": {"call": call, "conversation_id": 77, "attempts": attempts}, "action": action}


def test_a_reply_that_surely_never_arrived_may_be_sent_again(room: Desk) -> None:
    room.simulator.set_faults([fault("create_message", "timeout", [1, 2, 3])])
    assert room.ask(ALEX, "first", Action.APPROVE_SEND, text="Hi Robin, on its way.").number
    assert room.deliver() == [("reply", "TIMEOUT")]
    again = room.ask(SAM, "second", Action.APPROVE_SEND, text="Hi Robin, on its way.")
    assert again.refused == ""
    assert room.deliver()[-1] == ("reply", "SUCCESS")
    assert room.replies() == ["Hi Robin, on its way."]


def test_a_reply_that_may_have_arrived_is_not_sent_again(room: Desk) -> None:
    faults = [fault("create_message", "accepted_no_answer", [1])]
    faults.append({"match": {"call": "messages", "conversation_id": 77}, "action": "server_error"})
    room.simulator.set_faults(faults)
    room.ask(ALEX, "first", Action.APPROVE_SEND, text="Hi Robin, on its way.")
    assert room.deliver() == [("reply", "UNKNOWN")]
    again = room.ask(SAM, "second", Action.APPROVE_SEND, text="Hi Robin, on its way.")
    assert again.refused == "reply.already_answered"
    assert room.replies() == ["Hi Robin, on its way."]


def test_a_case_is_resolved_once_even_before_the_help_desk_shows_it(room: Desk) -> None:
    assert room.ask(ALEX, "first", Action.MARK_RESOLVED).number
    second = room.ask(SAM, "second", Action.MARK_RESOLVED)
    assert second.refused == "conversation.closed"
    assert ALEX.email in second.sentence


def test_a_case_whose_resolution_never_arrived_can_be_resolved_again(room: Desk) -> None:
    room.simulator.set_faults([fault("toggle_status", "timeout", [1, 2, 3])])
    room.ask(ALEX, "first", Action.MARK_RESOLVED)
    assert room.deliver() == [("status", "TIMEOUT")]
    assert room.ask(SAM, "second", Action.MARK_RESOLVED).refused == ""


def test_a_case_the_customer_opened_again_can_be_decided_again(room: Desk) -> None:
    room.ask(ALEX, "first", Action.MARK_RESOLVED)
    room.deliver()
    room.simulator.state.customer_says(77, "One more thing.", int(NOW.timestamp()) + 60, "again")
    room.observe()
    assert room.ask(SAM, "second", Action.MARK_RESOLVED).refused == ""


def test_half_a_character_from_a_customer_can_be_kept(room: Desk) -> None:
    room.simulator.state.customer_says(77, "half \ud83d here", int(NOW.timestamp()) + 60, "half")
    room.observe()
    kept = room.workspace.ledger.conversation("77")
    assert kept is not None and kept.messages[-1].text == "half \ufffd here"
