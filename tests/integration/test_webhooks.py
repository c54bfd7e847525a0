"""Webhooks over real HTTP: who may send, what is taken, and that nothing but the help desk's own state is kept."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairnops.app.views.queue import queue
from cairnops.connectors import health
from cairnops.connectors.chatwoot import shapes, webhooks
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.connectors.chatwoot.webhooks import EVENTS, Keeper, Receiver
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.errors import NotFound, RemoteError
from cairnops.settings import Settings
from cairnops.store.engine import open_sqlite
from cairnops.store.ledger import SqlLedger
from cairnops.workspace import Workspace, now
from tests import warm

TOKEN, SECRET = "t0ken", "5t7oive8-secret"
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
NOW = 1_760_000_000
WEBHOOK = Actor(email="webhook@cairnops")
ROOT = Path(__file__).resolve().parents[2]


def case(key: str, *said: str) -> Conversation:
    messages = tuple(
        Message(id=f"{key}{n}", author=Author.CUSTOMER, text=text, at=T0) for n, text in enumerate(said, 1)
    )
    return Conversation(
        id=key,
        customer="Alex Rivera",
        customer_key=f"alex{key}@example.test",
        status=Status.OPEN,
        created_at=T0,
        messages=messages,
    )


def delivery(event: str = "conversation_updated", conversation: int = 101, **more: Any) -> dict[str, Any]:
    about = {"id": conversation, "status": "open", "labels": []}
    inner = {"id": 9001, "content": "hi", "conversation": about} if event.startswith("message_") else about
    return {"event": event, "account": {"id": 1}, **inner, **more}


def signed(body: bytes, at: int = NOW, secret: str = SECRET, **more: str) -> dict[str, str]:
    return {
        "x-chatwoot-timestamp": str(at),
        "x-chatwoot-signature": webhooks.signature(secret, str(at), body),
    } | {name.replace("_", "-"): value for name, value in more.items()}


@dataclass
class Desk:
    """What the receiver reads and keeps."""

    read: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    #: What goes wrong with the next readings.
    trouble: list[Exception] = field(default_factory=list)
    #: Readings wait for this.
    gate: asyncio.Event | None = None

    async def conversation(self, key: str) -> Conversation:
        self.read.append(key)
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble:
            raise self.trouble.pop(0)
        return case(key)

    async def keep(self, found: Conversation) -> None:
        self.kept.append(found.id)


Post = Callable[..., Awaitable[httpx.Response]]


@asynccontextmanager
async def receiving(
    desk: Desk, secret: str = SECRET, token: str = "", patience_s: float = 30
) -> AsyncIterator[Post]:
    """A receiver on loopback, and what posts to it."""
    keeper = Keeper(desk.conversation, desk.keep, pauses_s=(0.0,))
    receiver = Receiver(
        keeper, account_id=1, now_s=lambda: NOW, secret=secret, token=token, patience_s=patience_s
    )
    listener = health.listening(0)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        health.answering(receiver.app(), listener),
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=30) as http,
    ):

        async def post(
            body: Any, headers: dict[str, str] | None = None, path: str = "/chatwoot", method: str = "POST"
        ) -> httpx.Response:
            raw = json.dumps(body).encode() if isinstance(body, dict | list) else body
            return await http.request(
                method, path, content=raw, headers=signed(raw) if headers is None else headers
            )

        yield post
    await keeper.close(0)


def run(story: Callable[[Desk, Post], Awaitable[None]], **how: Any) -> Desk:
    desk = Desk()

    async def told() -> None:
        async with receiving(desk, **how) as post, asyncio.timeout(60):
            await story(desk, post)

    asyncio.run(told())
    return desk


BODY = json.dumps(delivery()).encode()
SENT: dict[str, tuple[Any, dict[str, str] | None, int]] = {
    "signed": (BODY, signed(BODY), 200),
    "five minutes old": (BODY, signed(BODY, NOW - 300), 200),
    "their clock is five minutes ahead": (BODY, signed(BODY, NOW + 300), 200),
    "recorded": (BODY, signed(BODY, NOW - 301), 401),
    "from the future": (BODY, signed(BODY, NOW + 301), 401),
    "not signed": (BODY, {}, 401),
    "signed with another secret": (BODY, signed(BODY, secret="another"), 401),
    "another body": (BODY + b" ", signed(BODY), 401),
    "another time": (BODY, signed(BODY) | {"x-chatwoot-timestamp": str(NOW + 1)}, 401),
    "a time without end": (BODY, signed(BODY) | {"x-chatwoot-timestamp": "9" * 400}, 401),
    "no time": (BODY, signed(BODY) | {"x-chatwoot-timestamp": "now"}, 401),
    "an empty signature": (BODY, signed(BODY) | {"x-chatwoot-signature": "sha256="}, 401),
    "letters nobody hashes to": (
        BODY,
        signed(BODY) | {"x-chatwoot-signature": "sha256=" + "\u00e9" * 64},
        401,
    ),
    "not JSON": (b"{", None, 400),
    "not text": (b"\xff\xfe", None, 400),
    "nested without end": (b"[" * 100_000, None, 400),
    "a list": ([1], None, 400),
    "no event": ({}, None, 422),
    "an event that is a number": ({"event": 7}, None, 422),
    "no conversation": ({"event": "conversation_updated"}, None, 422),
    "an id that is none": (delivery(conversation=True), None, 422),
    "a negative id": (delivery(conversation=-1), None, 422),
    "an id beyond all numbers": (delivery(conversation=2**53), None, 422),
    "a conversation in words": ({"event": "message_created", "conversation": "101"}, None, 422),
    "another account": (delivery(account={"id": 2}), None, 422),
    "about no conversation": ({"event": "contact_updated", "id": 7}, None, 200),
    "somebody types": ({"event": "conversation_typing_on"}, None, 200),
    "too large": (b"x" * (webhooks.MOST_BYTES + 1), None, 413),
}


def test_what_is_taken() -> None:
    found = {}

    async def story(desk: Desk, post: Post) -> None:
        for name, (body, headers, _) in SENT.items():
            given = None if headers is None else {k: v.encode("latin-1") for k, v in headers.items()}
            before = len(desk.kept)
            answer = await post(body, given)
            found[name] = answer.status_code
            taken = answer.status_code == 200 and body is BODY
            assert len(desk.kept) - before == taken, name
            assert SECRET not in answer.text

    run(story)
    assert found == {name: status for name, (_, _, status) in SENT.items()}


def test_every_event_about_a_conversation_has_it_read() -> None:
    async def story(_: Desk, post: Post) -> None:
        for event in EVENTS:
            assert (await post(delivery(event))).status_code == 200

    assert run(story).kept == ["101"] * len(EVENTS)


def test_a_body_that_never_says_its_length_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_BYTES", 1000)

    async def story(_: Desk, post: Post) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 100

        assert (await post(b"x" * 1000)).status_code == 400
        assert (await post(endless(), {})).status_code == 413

    run(story)


def test_other_paths() -> None:
    paths = [
        ("/chatwoot", "GET", 405),
        ("/", "POST", 404),
        (f"/chatwoot/{SECRET}", "POST", 404),
        ("/health", "GET", 200),
    ]

    async def story(_: Desk, post: Post) -> None:
        for path, method, status in paths:
            assert (await post(b"", {}, path, method)).status_code == status, path

    run(story)


def test_a_chatwoot_that_signs_nothing_is_known_by_the_address() -> None:
    paths = {"/0123456789abcdef": 200, "/0123456789abcdeX": 401, "/%C3%A9": 401, "/": 404, "": 404}

    async def story(_: Desk, post: Post) -> None:
        for end, status in paths.items():
            assert (await post(delivery(), {}, f"/chatwoot{end}")).status_code == status, end

    assert run(story, secret="", token="0123456789abcdef").kept == ["101"]


def test_nobody_can_leave_it_open() -> None:
    with pytest.raises(ValueError, match="anybody"):
        Receiver(Keeper(Desk().conversation, Desk().keep), account_id=1, now_s=lambda: 0)


def test_a_delivery_that_comes_again_is_known() -> None:
    async def story(_: Desk, post: Post) -> None:
        for at in (NOW, NOW, NOW + 60):
            answer = await post(BODY, signed(BODY, at, x_chatwoot_delivery="8f2c"))
            assert answer.status_code == 200
        other = json.dumps(delivery(status="resolved")).encode()
        assert (await post(other, signed(other, x_chatwoot_delivery="8f2c"))).text == "kept\n"

    assert run(story).kept == ["101", "101"], "another body under the same id is another delivery"


def test_a_burst_about_one_conversation_is_read_twice() -> None:
    async def story(desk: Desk, post: Post) -> None:
        desk.gate = asyncio.Event()
        first = asyncio.create_task(post(delivery()))
        while not desk.read:
            await asyncio.sleep(0)
        rest = [asyncio.create_task(post(delivery(status=str(n)))) for n in range(20)]
        other = asyncio.create_task(post(delivery(conversation=102)))
        while "102" not in desk.read:
            await asyncio.sleep(0)
        desk.gate.set()
        assert {(await one).status_code for one in [first, *rest, other]} == {200}

    assert Counter(run(story).kept) == {"101": 2, "102": 1}, "once as it was, once after the last"


def test_what_cannot_be_read_is_read_later() -> None:
    async def story(desk: Desk, post: Post) -> None:
        desk.trouble = [RemoteError("down"), RemoteError("down")]
        assert (await post(delivery())).status_code == 200
        assert (desk.read, desk.kept) == (["101"] * 3, ["101"])

    run(story)


def test_chatwoot_is_not_kept_waiting() -> None:
    async def story(desk: Desk, post: Post) -> None:
        desk.gate = asyncio.Event()
        assert (await post(delivery())).status_code == 202
        desk.gate.set()
        assert (await post(delivery())).status_code in (200, 202)
        while not desk.kept:
            await asyncio.sleep(0)

    run(story, patience_s=0.01)


def test_what_is_not_there_any_more_is_no_trouble() -> None:
    async def story(desk: Desk, post: Post) -> None:
        desk.trouble = [NotFound("gone")]
        assert (await post(delivery())).status_code == 200

    assert run(story).kept == []


# The whole way: an event at the help desk, its delivery, the ledger, the queue


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[ChatwootSimulator]:
    with ChatwootSimulator(tmp_path / "simulator.db", TOKEN) as made:
        yield made


@pytest.fixture
def http(simulator: ChatwootSimulator) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=simulator.base_url, headers={"api_access_token": TOKEN}, trust_env=False, timeout=30
    ) as made:
        yield made


def subscribe(http: httpx.Client, url: str, *events: str) -> dict[str, Any]:
    answer = http.post(
        "/api/v1/accounts/1/webhooks", json={"webhook": {"url": url, "subscriptions": list(events or EVENTS)}}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["payload"]["webhook"])


def says(http: httpx.Client, key: str, text: str) -> None:
    body = {"text": text, "at": now().isoformat(), "key": text}
    assert http.post(f"/simulator/conversations/{key}/customer", json=body).status_code == 200


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def listening(root: Path, *args: object, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`cairnops chatwoot listen` in a process of its own, and the address it printed."""
    process = warm.Popen(
        [sys.executable, "-m", "cairnops", "chatwoot", "listen", "--port", "0", "-w", str(root), *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | env,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_from_the_help_desk_to_the_queue(
    simulator: ChatwootSimulator, http: httpx.Client, tmp_path: Path
) -> None:
    simulator.seed(shapes.to_seed(case("101", "Where is my parcel?")))
    env = {"CHATWOOT_BASE_URL": simulator.base_url, "CHATWOOT_API_TOKEN": TOKEN}
    hook = subscribe(http, "http://127.0.0.1:9/not-there-yet")
    with (
        listening(tmp_path / "w", **env, CHATWOOT_WEBHOOK_SECRET=hook["secret"]) as (process, address),
        Workspace.open(tmp_path / "w", Settings(env)) as w,
    ):
        assert (
            http.patch(f"/api/v1/accounts/1/webhooks/{hook['id']}", json={"url": address}).status_code == 200
        )
        assert httpx.get(address.replace("/chatwoot", "/health"), trust_env=False).text == "ok\n"
        assert httpx.post(address, content=BODY, trust_env=False).status_code == 401

        def shown() -> Any:
            rows = queue(
                w.ledger.conversations(), w.policy, now(), me="", claims={}, only={"101"}, delivery={}
            ).rows
            return [(row.id, row.preview, row.tags, row.status) for row in rows]

        says(http, "101", "Hello? Anybody?")
        until(lambda: shown() == [("101", "Hello? Anybody?", (), "open")])
        http.post("/api/v1/accounts/1/conversations/101/labels", json={"labels": ["escalation"]})
        until(lambda: shown()[0][2] == ("escalation",))
        http.post("/api/v1/accounts/1/conversations/101/toggle_status", json={"status": "resolved"})
        until(lambda: shown()[0][3] == "resolved")
        http.post(
            "/api/v1/accounts/1/conversations/101/messages", json={"content": "a note", "private": True}
        )
        until(lambda: len(w.ledger.events(conversation="101")) >= 4)
        told = w.ledger.events(kind="conversation.observed")
        assert {(e["actor"], e["role"]) for e in told} == {("webhook@cairnops", "admin")}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert "stopped" in said and hook["secret"] not in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("env", "said"),
    [
        pytest.param({}, "CHATWOOT_BASE_URL is not set", id="no help desk"),
        pytest.param(
            {"CHATWOOT_BASE_URL": "http://127.0.0.1:9", "CHATWOOT_API_TOKEN": "x"},
            "anybody could send",
            id="open",
        ),
    ],
)
def test_what_is_missing_is_one_sentence(
    env: dict[str, str], said: str, tmp_path: Path, cli: Any, monkeypatch: Any
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = cli("chatwoot", "listen", "-w", tmp_path)
    assert done.code == 2 and said in done.err and "Traceback" not in done.err


def test_subscriptions_are_those_of_chatwoots_api(http: httpx.Client) -> None:
    made = subscribe(http, "http://127.0.0.1:9/x", "message_created")
    assert made["subscriptions"] == ["message_created"] and made["secret"]
    path = "/api/v1/accounts/1/webhooks"
    assert http.get(path).json() == {"payload": {"webhooks": [made]}}
    changed = http.patch(f"{path}/{made['id']}", json={"subscriptions": ["conversation_updated"]}).json()
    assert changed["payload"]["webhook"] == made | {"subscriptions": ["conversation_updated"]}
    for bad in ({"url": "ftp://x"}, {"subscriptions": ["nope"]}, {"subscriptions": []}):
        assert (
            http.post(path, json={"url": "http://x", "subscriptions": ["message_created"]} | bad).status_code
            == 422
        )
    assert http.patch(f"{path}/99", json={}).status_code == 404
    assert http.delete(f"{path}/{made['id']}").status_code == 200
    assert http.get(path).json() == {"payload": {"webhooks": []}}


# Any order, any repetition

DOINGS = st.lists(
    st.tuples(st.sampled_from(["says", "label", "status", "reply"]), st.sampled_from(["101", "102"])),
    max_size=5,
)


@given(doings=DOINGS, data=st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_repetition_of_deliveries_ends_in_the_same_ledger(
    simulator: ChatwootSimulator, tmp_path: Path, doings: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Real deliveries, held back, doubled, shuffled, and read while the help desk goes on changing."""
    for key in ("101", "102"):
        simulator.seed(shapes.to_seed(case(key, "Where is my parcel?")))
    ledger = SqlLedger(open_sqlite(tmp_path / f"ledger-{time.monotonic_ns()}.db"))

    async def story() -> None:
        async with (
            ChatwootClient(simulator.base_url, 1, TOKEN, timeout_ms=10_000) as client,
            httpx.AsyncClient(
                base_url=simulator.base_url, headers={"api_access_token": TOKEN}, trust_env=False, timeout=30
            ) as http,
        ):
            late: list[Conversation] = []

            async def keep(found: Conversation) -> None:
                # A slow one writes what it read long ago, after those that overtook it.
                late.append(found)
                await asyncio.to_thread(
                    ledger.observe, late[len(late) // 2], at=T0, actor=WEBHOOK, breached_at=None
                )
                await asyncio.to_thread(ledger.observe, found, at=T0, actor=WEBHOOK, breached_at=None)
                await asyncio.to_thread(ledger.observe, late[0], at=T0, actor=WEBHOOK, breached_at=None)

            keeper = Keeper(client.conversation, keep)
            receiver = Receiver(keeper, account_id=1, now_s=lambda: NOW, secret=SECRET)
            listener = health.listening(0)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/chatwoot"
            async with health.answering(receiver.app(), listener):
                pending: list[bytes] = []
                for number, (what, key) in enumerate(doings):
                    await doing(http, what, key, number)
                    event = "message_created" if what in ("says", "reply") else "conversation_updated"
                    pending.append(json.dumps(delivery(event, int(key), n=number)).encode())
                    if data.draw(st.booleans()):
                        body = data.draw(st.sampled_from(pending))
                        assert (
                            await http.post(address, content=body, headers=signed(body))
                        ).status_code == 200
                order = data.draw(st.permutations([*pending, *pending[: len(pending) // 2]]))
                answers = await asyncio.gather(
                    *(http.post(address, content=body, headers=signed(body)) for body in order)
                )
                assert {a.status_code for a in answers} <= {200}
            await keeper.close(0)
            for key in {key for _, key in doings}:
                assert ledger.conversation(key) == await client.conversation(key)

    async def doing(http: httpx.AsyncClient, what: str, key: str, number: int) -> None:
        base = f"/api/v1/accounts/1/conversations/{key}"
        path, body = {
            "says": (
                f"/simulator/conversations/{key}/customer",
                {"text": "?", "at": NOW + number, "key": str(number)},
            ),
            "label": (f"{base}/labels", {"labels": [f"l{number}"]}),
            "status": (f"{base}/toggle_status", {}),
            "reply": (f"{base}/messages", {"content": "soon"}),
        }[what]
        assert (await http.post(path, json=body)).status_code == 200

    asyncio.run(story())
    ledger.close()
