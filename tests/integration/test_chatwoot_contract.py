"""What the connector asks and the simulator answers, held against the API description that Chatwoot publishes."""

import asyncio
import copy
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jsonschema
import pytest

from cairnops.connectors.chatwoot import smoke
from cairnops.connectors.chatwoot.client import ChatwootClient, Reads
from cairnops.connectors.chatwoot.sandbox import Case, Sandbox
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.domain.conversations import Status
from cairnops.domain.delivery import Answer, Effect, EffectKind, Found
from cairnops.domain.policy import Policy
from cairnops.scenarios.loader import load_pack

TOKEN = "t0ken-of-the-desk"
FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "chatwoot" / "openapi.json"

# Where Chatwoot does otherwise than it publishes, by its own views and controllers; what the simulator does too.
OTHERWISE: list[tuple[str, dict[str, Any], str]] = [
    (
        "conversation/properties/status",
        {"enum": ["open", "resolved", "pending", "snoozed"]},
        "there is a fourth status",
    ),
    (
        "conversation/properties/timestamp",
        {"type": "integer"},
        "_conversation.json.jbuilder writes epoch seconds",
    ),
    ("conversation/properties/priority", {"type": ["string", "null"]}, "most conversations have none"),
    ("conversation/properties/snoozed_until", {"type": ["number", "null"]}, "most are not snoozed"),
    ("conversation/properties/sla_policy_id", {"type": ["number", "null"]}, "most have none"),
    (
        "conversation/properties/meta/properties/sender",
        {"$ref": "#/$defs/contact"},
        "shown as a contact is elsewhere",
    ),
    ("message/properties/source_id", {"type": ["string", "null"]}, "null until a channel gives one"),
    ("message_detailed/properties/sender", {"type": "object"}, "an agent when the message is theirs"),
    ("contact_detail/properties/email", {"type": ["string", "null"]}, "not every customer has one"),
    (
        "agent/properties/availability_status",
        {"enum": ["online", "busy", "offline"]},
        "AvailabilityStatusable",
    ),
    ("account/properties/features", {"type": "object"}, "enabled_features is a map of names to true"),
    ("account/properties/domain", {"type": ["string", "null"]}, "not every account has one"),
    ("account/properties/support_email", {"type": ["string", "null"]}, "not every account has one"),
]
# Asked for, and in the published description nowhere: by Chatwoot's routes.
UNPUBLISHED = {
    ("GET", "/api"): "api#index: the version",
    ("GET", "/api/v1/accounts/{account_id}/sla_policies"): "resources :sla_policies",
    ("DELETE", "/api/v1/accounts/{account_id}/conversations/{conversation_id}"): "resources :conversations",
}
# The same for single fields of a request.
UNPUBLISHED_FIELDS = {
    (
        "POST",
        "/api/v1/accounts/{account_id}/contacts",
        "source_id",
    ): "contacts_controller.rb: build_contact_inbox",
}


def published() -> dict[str, Any]:
    return json.loads(FIXTURE.read_text(encoding="utf-8"))


def corrected() -> dict[str, Any]:
    """The description, with what Chatwoot does otherwise put right."""
    doc = copy.deepcopy(published())
    for path, schema, _ in OTHERWISE:
        *parents, last = path.split("/")
        node = doc["$defs"]
        for part in parents:
            node = node[part]
        assert last in node, path
        node[last] = schema
    for call in doc["calls"]:
        if call["path"].endswith("/messages") and call["method"] == "GET":
            meta = call["answer"]["properties"]["meta"]["properties"]
            meta["agent_last_seen_at"] = meta["assignee_last_seen_at"] = {"type": "integer"}
        if call["path"].endswith("/contacts/search"):
            call["answer"]["properties"]["meta"]["properties"]["current_page"] = {
                "type": ["string", "integer"]
            }
        if call["path"].endswith("/assignments"):
            call["answer"] = {
                "anyOf": [{"$ref": "#/$defs/agent"}, {"$ref": "#/$defs/team"}, {"type": "null"}]
            }
    return doc


DOC = corrected()
ROUTES = [
    (call["method"], re.compile(re.sub(r"\{\w+\}", r"[0-9]+", call["path"]) + r"\Z"), call)
    for call in DOC["calls"]
]


def call_of(method: str, path: str) -> dict[str, Any] | None:
    return next((call for verb, pattern, call in ROUTES if verb == method and pattern.match(path)), None)


def check(value: object, schema: dict[str, Any]) -> None:
    """Raises ValidationError with the first thing that does not fit."""
    # Not `jsonschema.validate`: it checks the schema too, anew each time.
    error = next(_validator(schema).iter_errors(value), None)
    if error is not None:
        raise error


def valid(value: object, schema: dict[str, Any]) -> bool:
    return next(_validator(schema).iter_errors(value), None) is None


def _validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$defs": DOC["$defs"], **schema})


@pytest.fixture(scope="module")
def exchanged() -> Iterator[list[tuple[httpx.Request, httpx.Response]]]:
    """Everything the connector asks in a day: checked, seeded, read, answered, escalated, looked up, taken away."""
    seen: list[tuple[httpx.Request, httpx.Response]] = []

    async def keep(response: httpx.Response) -> None:
        await response.aread()
        seen.append((response.request, response))

    async def day(base_url: str) -> None:
        reads = Reads(labels=("vip",), inboxes=("1",), teams=("CX leads",), statuses=tuple(Status))
        async with (
            ChatwootClient(base_url, 1, TOKEN, timeout_ms=5000) as client,
            ChatwootClient(base_url, 1, TOKEN, timeout_ms=5000, reads=reads) as narrow,
        ):
            for one in (client, narrow):
                one._http.event_hooks["response"] = [keep]
            await smoke.check(client, Policy())
            cases = [
                Case(pack=pack.id, scenario=s.id, world=s.conversation)
                for pack in map(load_pack, ("cx-escalations", "practice-library"))
                for s in pack.scenarios
                if pack.id == "cx-escalations" or s.world.conversation.priority
            ]
            put = await Sandbox(client).fill(cases, datetime(2025, 10, 9, 14, tzinfo=UTC))
            await client.escalated()
            await narrow.escalated()
            payloads: list[tuple[EffectKind, dict[str, str]]] = [
                (EffectKind.REPLY, {"text": "Hi"}),
                (EffectKind.NOTE, {"text": "asked"}),
                (EffectKind.LABELS, {"add": "escalation"}),
                (EffectKind.ASSIGN, {"team": "CX leads"}),
                (EffectKind.ASSIGN, {"assignee": "desk@example.test"}),
                (EffectKind.STATUS, {"status": "resolved"}),
            ]
            for number, (kind, payload) in enumerate(payloads):
                effect = Effect(
                    uid="e",
                    run_key=f"r{number}",
                    conversation_id=put[0].conversation,
                    kind=kind,
                    payload=payload,
                )
                assert (await client.deliver(effect)).answer is Answer.OK
                assert await client.find(effect) is Found.PRESENT
            for number in range(25):
                effect = Effect(
                    uid="e", run_key=f"m{number}", conversation_id=put[1].conversation, kind=EffectKind.NOTE,
                    payload={"text": str(number)},
                )  # fmt: skip
                await client.deliver(effect)
            await client.conversation(put[1].conversation)
            for pack in ("cx-escalations", "practice-library"):
                await Sandbox(client).clear(pack)

    with ChatwootSimulator(None, TOKEN) as desk:
        desk.state.change_account({"features": {"sla": True}})
        desk.state.furnish("team", [{"name": "CX leads"}])
        desk.seed(
            {"id": 1, "created_at": 1_760_000_000, "status": "snoozed", "team": "CX leads", "labels": ["vip"]}
        )
        asyncio.run(day(desk.base_url))
    yield seen


def test_the_connector_asks_only_what_is_published(
    exchanged: list[tuple[httpx.Request, httpx.Response]],
) -> None:
    used = set()
    for request, _ in exchanged:
        path, call = request.url.path, call_of(request.method, request.url.path)
        if call is None:
            template = re.sub(r"/conversations/[0-9]+", "/conversations/{conversation_id}", path)
            template = re.sub(r"/accounts/[0-9]+", "/accounts/{account_id}", template)
            assert (request.method, template) in UNPUBLISHED, f"{request.method} {path} is published nowhere"
            continue
        used.add((call["method"], call["path"]))
        for name, value in parse_qsl(request.url.query.decode()):
            # Rails takes a list under its name with brackets; the description leaves them out.
            schema = call.get("query", {}).get(name.removesuffix("[]"))
            assert schema, f"{request.method} {path}: no parameter {name}"
            check(int(value) if schema["type"] == "integer" else value, schema)
        if request.content:
            body = json.loads(request.content)
            unknown = [
                field
                for field in set(body) - set(call["body"]["properties"])
                if (call["method"], call["path"], field) not in UNPUBLISHED_FIELDS
            ]
            assert unknown == [], f"{request.method} {path}"
            check(body, call["body"])
    # The fixture holds what is used and nothing else, so that what is published can be kept in view.
    assert {(c["method"], c["path"]) for c in DOC["calls"]} == used


@pytest.fixture(scope="module")
def answered(
    exchanged: list[tuple[httpx.Request, httpx.Response]],
) -> list[tuple[str, object, dict[str, Any]]]:
    """Each different answer once: what was asked, what came, and the schema it must keep."""
    found = {}
    for request, response in exchanged:
        assert response.status_code == 200, request.url.path
        call = call_of(request.method, request.url.path)
        if call is not None and "answer" in call:
            asked = f"{request.method} {request.url.path}"
            found[call["method"], call["path"], response.content] = (asked, response.json(), call["answer"])
    return list(found.values())


def test_the_simulator_answers_as_published(answered: list[tuple[str, object, dict[str, Any]]]) -> None:
    for asked, body, schema in answered:
        try:
            check(body, schema)
        except jsonschema.ValidationError as error:
            pytest.fail(f"{asked}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    with_answer = sum("answer" in call for call in DOC["calls"])
    assert len(answered) > 2 * with_answer


# What the connector reads from an answer: it must be among what Chatwoot publishes.
READ = {
    "conversation": (
        "id", "status", "created_at", "labels", "priority", "inbox_id", "meta", "custom_attributes",
        "additional_attributes", "applied_sla",
    ),
    "message_detailed": ("id", "content", "message_type", "private", "created_at", "content_attributes"),
    "contact": ("id", "name", "email", "identifier"),
    "inbox": ("id", "name", "channel_type"),
    "user": ("email", "name", "accounts"),
    "team": ("id", "name"),
    "agent": ("id", "email"),
    "label": ("title",),
    "account": ("features",),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(READ))
def test_what_is_read_is_published(name: str) -> None:
    assert set(READ[name]) <= set(DOC["$defs"][name]["properties"])


@pytest.mark.parametrize(("path", "schema", "why"), [pytest.param(*row, id=row[0]) for row in OTHERWISE])
def test_every_correction_is_still_needed(
    path: str, schema: dict[str, Any], why: str, answered: list[tuple[str, object, dict[str, Any]]]
) -> None:
    """Taken back, some answer must break the description: else the two agree again, and the row can go."""
    *parents, last = path.split("/")
    before, node = published()["$defs"], DOC["$defs"]
    for part in parents:
        before, node = before[part], node[part]
    kept, node[last] = node[last], before[last]
    try:
        for _, body, answer in answered:
            if not valid(body, answer):
                return
    finally:
        node[last] = kept
    pytest.fail(f"nothing breaks without it: {why}")
