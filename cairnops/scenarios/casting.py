"""How a scenario is put on a conversation of its own: its world, its history, its flags, the AI's text."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from cairnops.connectors.chatwoot.admin import SimulatorAdmin
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.desk.desk import Desk
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status, StatusChange
from cairnops.domain.requests import Flags
from cairnops.domain.suggestions import AiDraft
from cairnops.errors import RemoteError
from cairnops.scenarios.model import Scenario
from cairnops.scenarios.sessions import flag_caps
from cairnops.workspace import Workspace


class Switched(Protocol):
    """Flags as a pack or a session has them."""

    @property
    def modal_approvals(self) -> bool:
        """Approvals may be made from the desk."""

    @property
    def ai_escalations(self) -> bool:
        """AI drafts are shown."""


def flags(workspace: Workspace, scenario: Scenario, base: Switched) -> Flags:
    """The flags in force in a scenario: its own over those of the pack or session, capped by the environment."""
    caps, own = flag_caps(workspace), scenario.flags
    modal = base.modal_approvals if own.modal_approvals is None else own.modal_approvals
    ai = base.ai_escalations if own.ai_escalations is None else own.ai_escalations
    return Flags(modal_approvals=modal and caps.modal_approvals, ai_escalations=ai and caps.ai_escalations)


def cast(scenario: Scenario, conversation: str) -> Scenario:
    """The scenario on the conversation it was given.

    Played a second time, the customer is somebody else of the same name: what one rehearsal kept waiting
    is no history of the next.
    """
    world = scenario.world
    given = world.conversation.model_copy(update={"id": conversation})
    customer = world.customer
    nth = conversation.removesuffix(world.conversation.id)
    if nth:
        name, _, domain = customer.email.partition("@")
        customer = customer.model_copy(update={"email": f"{name}+{nth}@{domain}"})
    return scenario.model_copy(
        update={"world": world.model_copy(update={"conversation": given, "customer": customer})}
    )


def draft(scenario: Scenario, start: datetime) -> AiDraft | None:
    """What the AI proposes in a scenario that begins at `start`; None when it proposes nothing."""
    given = scenario.world.suggestion
    if given is None:
        return None
    return AiDraft(
        text=given.text,
        template_id=given.template,
        sources=given.sources,
        index_generated_at=start + given.index_generated if given.index_generated is not None else None,
    )


async def read(client: ChatwootClient, conversation: str) -> Conversation:
    """A conversation of the simulator as it stands.

    It is in this very process, and answers late when the machine stands still for a while: reading it again harms
    nothing, and a rehearsal must not break off over it.

    Raises:
        NotFound: when it is not there.
        RemoteError: when it cannot be read, four times over.
    """
    for _ in range(3):
        with suppress(RemoteError):
            return await client.conversation(conversation)
    return await client.conversation(conversation)


async def place(
    admin: SimulatorAdmin,
    client: ChatwootClient,
    desk: Desk,
    scenario: Scenario,
    start: datetime,
    actor: Actor,
) -> None:
    """Put the world of a cast scenario into the simulator as it stands at `start`, unless it is there.

    The customer's earlier conversations come first and are observed: they are the history rules look at.
    """
    conversation = scenario.world.conversation.id
    if await admin.has(conversation):
        return
    for before in _earlier(scenario, start):
        if not await admin.has(before.id):
            await admin.seed(before)
        desk.observe(await read(client, before.id), actor)
    faults = [f.fault(int(conversation)) for f in scenario.world.faults]
    await admin.seed(scenario.conversation(start), faults)


def _earlier(scenario: Scenario, start: datetime) -> Sequence[Conversation]:
    """The same customer's earlier conversations, each answered four hours late and closed since."""
    out = []
    for number, breach in enumerate(scenario.world.history.breaches, 1):
        created = start - timedelta(days=breach.days_ago, minutes=-number)
        key = f"{scenario.world.conversation.id}0{number}"
        said = (
            (Author.CUSTOMER, timedelta(0), "Is anybody there?"),
            (Author.AGENT, timedelta(hours=4), "Sorry for the wait. This is settled now."),
        )
        if created + timedelta(hours=5) >= start:
            said = said[:1]
        closed = len(said) == 2
        out.append(
            Conversation(
                id=key,
                customer=scenario.world.customer.name,
                customer_key=scenario.world.customer.email,
                status=Status.RESOLVED if closed else Status.OPEN,
                created_at=created,
                messages=tuple(
                    Message(id=f"{key}{place:03d}", author=author, text=text, at=created + after)
                    for place, (author, after, text) in enumerate(said, 1)
                ),
                status_changes=(StatusChange(status=Status.RESOLVED, at=created + timedelta(hours=5)),)
                if closed
                else (),
            )
        )
    return out
