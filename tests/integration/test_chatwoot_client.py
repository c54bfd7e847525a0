"""The Chatwoot client against real servers: what one try means, what is read, and what never leaks."""

import asyncio
import logging
import socket
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import SubjectAlternativeName as SAN
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairnops.connectors.chatwoot import client as module
from cairnops.connectors.chatwoot import shapes
from cairnops.connectors.chatwoot.answers import failure_of, retry_after_ms
from cairnops.connectors.chatwoot.client import ChatwootClient, Reads
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.domain.conversations import Author, Conversation, Message, Order, Status, StatusChange
from cairnops.domain.delivery import Answer, Effect, EffectKind, Failure, Found, Result, of_failure
from cairnops.errors import CairnError, InputError, NotFound, RemoteError, SettingError

TOKEN = "t0ken-of-the-desk"
T = TypeVar("T")
T0 = datetime(2025, 10, 9, 14, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[ChatwootSimulator]:
    with ChatwootSimulator(None, TOKEN) as simulator:
        yield simulator


@pytest.fixture
def desk(running: ChatwootSimulator) -> ChatwootSimulator:
    running.state.reset()
    running.state.furnish("team", [{"name": "CX leads"}])
    running.seed(shapes.to_seed(case("101")))
    return running


def case(key: str, **over: Any) -> Conversation:
    fields: dict[str, Any] = {
        "id": key,
        "customer": "Alex Rivera",
        "customer_key": f"alex{key}@example.test",
        "status": Status.OPEN,
        "created_at": T0,
        "tags": ("shipping", "VIP"),
        "messages": (Message(id=f"{key}1", author=Author.CUSTOMER, text="where is it?", at=T0),),
    }
    return Conversation(**(fields | over))


def ask(base_url: str, what: Callable[[ChatwootClient], Awaitable[T]], timeout_ms: int = 2000) -> T:
    async def asked() -> T:
        async with ChatwootClient(base_url, 1, TOKEN, timeout_ms=timeout_ms) as client:
            return await what(client)

    return asyncio.run(asked())


def effect(kind: EffectKind, key: str = "run-1", conversation_id: str = "101", **payload: str) -> Effect:
    return Effect(uid="e1", run_key=key, conversation_id=conversation_id, kind=kind, payload=payload)


REPLY = effect(EffectKind.REPLY, text="Hi Alex")
NOTE = effect(EffectKind.NOTE, text="asked the carrier")
LABEL = effect(EffectKind.LABELS, add="escalation")
RESOLVE = effect(EffectKind.STATUS, status="resolved")
GIVE = effect(EffectKind.ASSIGN, team="CX Leads")
EVERY_KIND = [pytest.param(e, id=e.kind) for e in (REPLY, NOTE, LABEL, RESOLVE, GIVE)]


@asynccontextmanager
async def raw_server(*answers: bytes, drip_s: float | None = None) -> AsyncIterator[str]:
    """A server that knows nothing: each request gets the next of `answers` (the last one for ever after)."""
    left = list(answers)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0
                )
                await reader.readexactly(length)
                answer = left.pop(0) if len(left) > 1 else left[0]
                for part in [answer] if drip_s is None else [bytes([b]) for b in answer]:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(drip_s or 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def http_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask_raw(what: Callable[[ChatwootClient], Awaitable[T]], *answers: bytes, **more: Any) -> T:
    timeout_ms = more.pop("timeout_ms", 2000)

    async def asked() -> T:
        async with (
            raw_server(*answers, **more) as url,
            ChatwootClient(url, 1, TOKEN, timeout_ms=timeout_ms) as client,
        ):
            return await what(client)

    return asyncio.run(asked())


# delivering


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Hi Alex,\n\nIt left on **Tuesday**.\n", id="markdown-and-newlines"),
        pytest.param("  spaces stay  \t\r\n", id="white-space-at-the-ends"),
        pytest.param("Grüße, 你好, 🙂🏽, e\u0301, \u202eabc", id="unicode"),
        pytest.param('<b onclick="x()">&amp;</b> =SUM(A1) {{name}} \\n', id="what-others-would-interpret"),
        pytest.param("\x1b[31mred\x1b[0m \x00 \x7f", id="control-characters"),
        pytest.param("half \ud83d pair", id="a-lone-surrogate"),
        pytest.param("x" * 150_000, id="as-long-as-chatwoot-takes"),
    ],
)
@pytest.mark.parametrize("kind", [EffectKind.REPLY, EffectKind.NOTE])
def test_the_text_arrives_byte_for_byte(desk: ChatwootSimulator, kind: EffectKind, text: str) -> None:
    told = ask(desk.base_url, lambda c: c.deliver(effect(kind, text=text)))
    (made,) = [m for m in desk.messages(101) if m["run_key"]]
    assert told == Result(answer=Answer.OK, remote_id=str(made["id"]))
    assert made["content"] == text
    assert (made["message_type"], made["private"]) == (1, kind is EffectKind.NOTE)
    assert made["content_attributes"] == {"cairnops_run_key": "run-1"}
    read = ask(desk.base_url, lambda c: c.conversation("101"))
    shown = text.replace("\ud83d", "\ufffd")
    assert read.messages[-1].text == shown, (
        "and is read back without the run key in it, half a character as none"
    )


def test_a_label_is_added_to_those_that_stand(desk: ChatwootSimulator) -> None:
    assert ask(desk.base_url, lambda c: c.deliver(LABEL)).answer is Answer.OK
    assert ask(desk.base_url, lambda c: c.conversation("101")).tags == ("shipping", "VIP", "escalation")


@pytest.mark.parametrize("there", ["escalation", "Escalation"])
def test_a_label_that_stands_is_not_written_again(desk: ChatwootSimulator, there: str) -> None:
    desk.seed(shapes.to_seed(case("101", tags=(there,))))
    assert ask(desk.base_url, lambda c: c.deliver(LABEL)).answer is Answer.OK
    assert [r["call"] for r in desk.requests()] == ["labels_read"]


def test_resolving_resolves_and_again_does_not_reopen(desk: ChatwootSimulator) -> None:
    async def twice(client: ChatwootClient) -> list[Answer]:
        return [(await client.deliver(RESOLVE)).answer for _ in range(2)]

    assert ask(desk.base_url, twice) == [Answer.OK, Answer.OK]
    read = ask(desk.base_url, lambda c: c.conversation("101"))
    assert read.status is Status.RESOLVED
    assert [change.status for change in read.status_changes] == [Status.RESOLVED]


@pytest.mark.parametrize("wanted", EVERY_KIND)
def test_the_run_key_travels_with_every_write(desk: ChatwootSimulator, wanted: Effect) -> None:
    ask(desk.base_url, lambda c: c.deliver(wanted))
    assert [r["run_key"] for r in desk.requests() if r["method"] == "POST"] == ["run-1"]


UNKNOWN, RETRY, REJECT, OK = Answer.UNKNOWN, Answer.RETRY, Answer.REJECT, Answer.OK
PRESENT, ABSENT = Found.PRESENT, Found.ABSENT


@pytest.mark.parametrize("wanted", EVERY_KIND)
@pytest.mark.parametrize(
    ("fault", "answer", "code", "found"),
    [
        pytest.param({"action": "timeout"}, UNKNOWN, "ETIMEDOUT", ABSENT, id="timeout"),
        pytest.param({"action": "connection_reset"}, UNKNOWN, "ECONNRESET", ABSENT, id="connection_reset"),
        pytest.param(
            {"action": "rate_limited", "retry_after_s": 3}, RETRY, "HTTP_429", ABSENT, id="rate_limited"
        ),
        pytest.param(
            {"action": "server_error", "status": 502}, UNKNOWN, "HTTP_502", ABSENT, id="server_error"
        ),
        pytest.param({"action": "slow", "delay_ms": 50}, OK, "", PRESENT, id="slow"),
        pytest.param(
            {"action": "accepted_no_answer"}, UNKNOWN, "ETIMEDOUT", PRESENT, id="accepted_no_answer"
        ),
        pytest.param(
            {"action": "accepted_no_answer", "close": True},
            UNKNOWN,
            "ECONNRESET",
            PRESENT,
            id="accepted-then-reset",
        ),
        pytest.param({"action": "malformed_body"}, UNKNOWN, "EBADBODY", PRESENT, id="malformed_body"),
    ],
)
def test_a_try_and_the_look_up_after_it(
    desk: ChatwootSimulator, wanted: Effect, fault: dict[str, Any], answer: Answer, code: str, found: Found
) -> None:
    writes = {
        "reply": "create_message",
        "note": "private_note",
        "labels": "labels",
        "status": "toggle_status",
        "assign": "assignments",
    }
    desk.set_faults([{"match": {"call": writes[wanted.kind], "attempts": [1]}} | fault])

    async def tried(client: ChatwootClient) -> tuple[Result, Found, Found]:
        assert await client.find(wanted) is ABSENT
        told = await client.deliver(wanted)
        return (
            told,
            await client.find(wanted),
            await client.find(effect(EffectKind.REPLY, "other", text="Hi Alex")),
        )

    told, there, other = ask(desk.base_url, tried, timeout_ms=300)
    assert (told.answer, told.error_code, there) == (answer, code, found)
    assert told.retry_after_ms == (3000 if code == "HTTP_429" else None)
    assert other is ABSENT, "the same text under another run key is another message"


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("timeout", "ETIMEDOUT"),
        ("connection_reset", "ECONNRESET"),
        ("server_error", "HTTP_503"),
        ("malformed_body", "EBADBODY"),
    ],
)
def test_a_try_that_failed_while_reading_has_surely_changed_nothing(
    desk: ChatwootSimulator, action: str, code: str
) -> None:
    desk.set_faults([{"match": {"call": "labels_read"}, "action": action}])
    told = ask(desk.base_url, lambda c: c.deliver(LABEL), timeout_ms=200)
    assert (told.answer, told.error_code) == (RETRY, code)


@pytest.mark.parametrize("wanted", EVERY_KIND)
def test_a_conversation_that_is_not_there_is_a_refusal_and_unknown_to_a_look_up(
    desk: ChatwootSimulator, wanted: Effect
) -> None:
    lost = effect(wanted.kind, conversation_id="999", **wanted.payload)
    assert ask(desk.base_url, lambda c: c.deliver(lost)) == Result(answer=REJECT, error_code="HTTP_404")
    assert ask(desk.base_url, lambda c: c.find(lost)) is Found.UNAVAILABLE


@pytest.mark.parametrize("key", ["101/toggle_status?", "102/../101/toggle_status#", "101%2Ftoggle_status?"])
def test_a_conversation_id_cannot_leave_its_place_in_the_path(desk: ChatwootSimulator, key: str) -> None:
    told = ask(desk.base_url, lambda c: c.deliver(effect(EffectKind.REPLY, conversation_id=key, text="x")))
    assert told == Result(answer=REJECT, error_code="HTTP_404")
    assert ask(desk.base_url, lambda c: c.conversation("101")).status is Status.OPEN


@pytest.mark.parametrize("wanted", EVERY_KIND)
def test_the_deadline_is_hard_even_when_the_answer_trickles(wanted: Effect) -> None:
    began = time.monotonic()
    told = ask_raw(
        lambda c: c.deliver(wanted),
        http_answer(b'{"id": 1, "payload": []}' + b" " * 200),
        drip_s=0.05,
        timeout_ms=300,
    )
    assert told.error_code == "ETIMEDOUT"
    assert 0.25 < time.monotonic() - began < 1.0


def test_reading_and_looking_up_have_the_deadline_too() -> None:
    drip = http_answer(b"[]" + b" " * 300)

    async def both(client: ChatwootClient) -> Found:
        with pytest.raises(RemoteError, match="within 200 ms"):
            await client.conversation("101")
        return await client.find(REPLY)

    began = time.monotonic()
    assert ask_raw(both, drip, drip_s=0.05, timeout_ms=200) is Found.UNAVAILABLE
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            http_answer(b"<html>404</html>"), of_failure(Failure.MALFORMED), id="a-page-for-an-answer"
        ),
        pytest.param(http_answer(b""), of_failure(Failure.MALFORMED), id="nothing-in-it"),
        pytest.param(http_answer(b"{}"), of_failure(Failure.MALFORMED), id="no-id"),
        pytest.param(
            http_answer(b'{"payload": {"id": 7}}'), Result(answer=OK, remote_id="7"), id="id-one-level-down"
        ),
        pytest.param(
            http_answer(b"", "302 Found", "location: https://example.test"),
            Result(answer=REJECT, error_code="HTTP_302"),
            id="a-redirect-is-not-followed",
        ),
        pytest.param(http_answer(b"", "422 No"), Result(answer=REJECT, error_code="HTTP_422"), id="refused"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", of_failure(Failure.RESET), id="not-http"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
            of_failure(Failure.MALFORMED),
            id="an-encoding-that-is-none",
        ),
        pytest.param(
            http_answer(
                b"",
                "429 Slow down",
                "retry-after: Thu, 09 Oct 2025 14:00:30 GMT",
                "date: Thu, 09 Oct 2025 14:00:00 GMT",
            ),
            Result(answer=RETRY, error_code="HTTP_429", retry_after_ms=30_000),
            id="a-date-to-retry-at",
        ),
    ],
)
def test_what_a_strange_server_says_is_a_result(answer: bytes, expected: Result) -> None:
    assert ask_raw(lambda c: c.deliver(REPLY), answer) == expected


def test_a_status_that_was_not_taken_is_not_success() -> None:
    told = ask_raw(lambda c: c.deliver(RESOLVE), http_answer(b'{"payload": {"current_status": "open"}}'))
    assert told == of_failure(Failure.MALFORMED)


def test_nobody_listening_is_surely_not_done() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert ask(url, lambda c: c.deliver(REPLY)) == of_failure(Failure.REFUSED)
        assert ask(url, lambda c: c.find(REPLY)) is Found.UNAVAILABLE


def test_tls_with_a_server_that_has_none_is_surely_not_done(desk: ChatwootSimulator) -> None:
    secure = desk.base_url.replace("http:", "https:")
    assert ask(secure, lambda c: c.deliver(REPLY)) == of_failure(Failure.TLS)


@pytest.mark.parametrize(
    ("cause", "failure"),
    [
        pytest.param(socket.gaierror(-2, "Name or service not known"), Failure.DNS, id="dns"),
        pytest.param(ssl.SSLCertVerificationError("expired"), Failure.TLS, id="certificate"),
        pytest.param(ConnectionRefusedError(111, "refused"), Failure.REFUSED, id="refused"),
        pytest.param(TimeoutError(110, "timed out"), Failure.TIMEOUT, id="the-kernels-own-timeout"),
        pytest.param(OSError(113, "no route"), Failure.REFUSED, id="no-route"),
        pytest.param(ExceptionGroup("all", [socket.gaierror(-3, "again")]), Failure.DNS, id="in-a-group"),
    ],
)
def test_a_connection_never_made_is_told_by_its_cause(cause: Exception, failure: Failure) -> None:
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = cause
    assert failure_of(error) is failure


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"retry-after": "2"}, 2000, id="seconds"),
        pytest.param({"retry-after": "0.5"}, 500, id="a-fraction"),
        pytest.param({"retry-after": "-3"}, 0, id="negative"),
        pytest.param({"retry-after": "Thu, 09 Oct 2025 14:01:00 GMT"}, 60_000, id="date-against-our-clock"),
        pytest.param({"retry-after": "Thu, 09 Oct 2025 13:01:00 GMT"}, 0, id="past-date"),
        pytest.param(
            {"retry-after": "Thu, 09 Oct 2025 14:01:00 GMT", "date": "Thu, 09 Oct 2025 14:00:50 GMT"},
            10_000,
            id="date-against-their-clock",
        ),
        pytest.param({"retry-after": "soon"}, None, id="a-word"),
        pytest.param({"retry-after": "inf"}, None, id="for-ever"),
        pytest.param({}, None, id="none"),
    ],
)
def test_retry_after_is_seconds_or_a_date(given: dict[str, str], expected: int | None) -> None:
    assert retry_after_ms(httpx.Headers(given), T0) == expected


# looking up


def test_a_look_up_pages_back_until_it_knows(
    desk: ChatwootSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(desk.base_url, lambda c: c.deliver(REPLY)).answer is OK
    for n in range(90):
        desk.state.add_message(101, {"message_type": 0, "content": str(n)})
    never = effect(EffectKind.REPLY, "never", text="x")
    assert ask(desk.base_url, lambda c: c.find(REPLY)) is PRESENT
    assert ask(desk.base_url, lambda c: c.find(never)) is ABSENT
    monkeypatch.setattr(module, "MAX_WINDOWS", 2)
    assert ask(desk.base_url, lambda c: c.find(never)) is Found.UNAVAILABLE, "the end was not reached"
    with pytest.raises(RemoteError, match="more than 40 messages"):
        ask(desk.base_url, lambda c: c.conversation("101"))


def test_a_look_up_goes_back_no_further_than_asked(desk: ChatwootSimulator) -> None:
    old = tuple(
        Message(id=str(n), author=Author.CUSTOMER, text="x", at=T0 + timedelta(minutes=n))
        for n in range(1, 101)
    )
    desk.seed(shapes.to_seed(case("101", messages=old)))
    assert ask(desk.base_url, lambda c: c.find(REPLY, T0 + timedelta(days=1))) is ABSENT
    assert len(desk.requests()) == 1
    assert ask(desk.base_url, lambda c: c.find(REPLY, T0 + timedelta(minutes=65))) is ABSENT
    assert len(desk.requests()) == 1 + 3, "a quarter of an hour further, for clocks that differ"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http_answer(b"", "503 Later"), id="down"),
        pytest.param(http_answer(b'{"messages": []}'), id="a-shape-nobody-knows"),
        pytest.param(http_answer(b"[1]"), id="messages-that-are-none"),
        pytest.param(
            http_answer(
                b"[" + b",".join(b'{"id":5,"message_type":0,"created_at":1}' for _ in range(20)) + b"]"
            ),
            id="the-same-page-for-ever",
        ),
    ],
)
def test_a_look_up_that_cannot_read_knows_nothing(answer: bytes) -> None:
    assert ask_raw(lambda c: c.find(REPLY), answer) is Found.UNAVAILABLE


def test_no_run_key_is_never_found(desk: ChatwootSimulator) -> None:
    assert ask(desk.base_url, lambda c: c.find(effect(EffectKind.REPLY, "", text="x"))) is Found.UNAVAILABLE


# reading


def test_escalated_reads_every_page_with_messages(desk: ChatwootSimulator) -> None:
    desk.state.reset()
    for n in range(1, 61):
        desk.seed(
            shapes.to_seed(
                case(str(n), tags=("Escalated",), created_at=T0 + timedelta(minutes=n), messages=())
            )
        )
    many = tuple(
        Message(id=str(n), author=Author.CUSTOMER, text=str(n), at=T0 + timedelta(minutes=n))
        for n in range(1, 46)
    )
    desk.seed(shapes.to_seed(case("70", tags=("escalation",), messages=many, status=Status.PENDING)))
    desk.seed(shapes.to_seed(case("71", tags=("vip",))))
    desk.seed(shapes.to_seed(case("72", tags=("escalation",), status=Status.RESOLVED)))
    found = ask(
        desk.base_url, lambda c: c.escalated(Reads(labels=("escalation", "escalated"))), timeout_ms=10_000
    )
    assert [c.id for c in found] == [*map(str, range(60, 0, -1)), "70"]
    assert found[-1].messages == many
    everything = ask(desk.base_url, lambda c: c.escalated(), timeout_ms=10_000)
    assert {c.id for c in everything} == {c.id for c in found} | {"71"}


def test_one_conversation_that_cannot_be_read_is_named(desk: ChatwootSimulator) -> None:
    desk.seed(
        shapes.to_seed(case("102")) | {"custom_attributes": {"order_number": "1", "order_total": "1,325.00"}}
    )
    with pytest.raises(RemoteError, match=r"conversation 102: cannot read order_total.*'1,325.00'"):
        ask(desk.base_url, lambda c: c.escalated())


def test_who_the_token_belongs_to(desk: ChatwootSimulator) -> None:
    assert ask(desk.base_url, lambda c: c.whoami()) == "desk@example.test"
    with pytest.raises(RemoteError, match="does not answer as Chatwoot"):
        ask_raw(lambda c: c.whoami(), http_answer(b"[]"))


def test_an_inbox_whose_name_cannot_be_read_is_called_by_its_number(desk: ChatwootSimulator) -> None:
    desk.seed(shapes.to_seed(case("102", inbox="Mail")))
    assert ask(desk.base_url, lambda c: c.conversation("102")).inbox == "Mail"
    desk.set_faults([{"match": {"call": "other"}, "action": "server_error"}])
    assert ask(desk.base_url, lambda c: c.conversation("102")).inbox == "2"


words = st.text(st.characters(codec="utf-8"), max_size=30)
names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12)
line = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=20)
moments = st.integers(0, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    times = sorted(draw(st.lists(moments, max_size=45)))
    messages = tuple(
        Message(
            id=str(n),
            author=draw(st.sampled_from(Author)),
            text=draw(words.filter(lambda text: not text.lower().startswith("conversation was"))),
            at=at,
            private=draw(st.booleans()),
        )
        for n, at in enumerate(times, start=draw(st.integers(1, 10**6)))
    )
    changes = draw(st.lists(st.builds(StatusChange, status=st.sampled_from(Status), at=moments), unique=True))
    order = st.builds(
        Order,
        number=words,
        total_minor=st.none() | st.integers(-(10**9), 10**9),
        currency=st.sampled_from(["USD", "EUR"]),
        cues=st.lists(line, max_size=3).map(tuple),
        refund_pending=st.booleans(),
        return_in_progress=st.booleans(),
    )
    return Conversation(
        id=str(draw(st.integers(1, 2**53 - 1))),
        customer=draw(words),
        customer_key=draw(st.sampled_from(["alex@example.test", "17", "shop-4711", "007"])),
        status=draw(st.sampled_from(Status)),
        created_at=draw(moments),
        messages=messages,
        tags=tuple(draw(st.lists(names, unique=True, max_size=4))),
        priority=draw(st.sampled_from(["", "urgent", "high", "medium", "low"])),
        status_changes=tuple(sorted(changes, key=lambda c: (c.at, c.status))),
        order=draw(st.none() | order),
        inbox=draw(st.just("") | names),
        team=draw(st.just("") | names),
        extra=draw(st.dictionaries(names, words, max_size=3)),
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(conversations())
def test_what_was_seeded_is_read_back(running: ChatwootSimulator, seeded: Conversation) -> None:
    running.state.reset()
    running.seed(shapes.to_seed(seeded))
    assert ask(running.base_url, lambda c: c.conversation(seeded.id)) == seeded


def test_a_conversation_read_can_be_seeded_again(desk: ChatwootSimulator) -> None:
    for wanted in (LABEL, REPLY, NOTE, RESOLVE):
        ask(desk.base_url, lambda c, wanted=wanted: c.deliver(wanted))
    read = ask(desk.base_url, lambda c: c.conversation("101"))
    assert [m.author for m in read.messages[-4:]] == [
        Author.SYSTEM,
        Author.AGENT,
        Author.AGENT,
        Author.SYSTEM,
    ]
    desk.state.reset()
    desk.seed(shapes.to_seed(read))
    assert ask(desk.base_url, lambda c: c.conversation("101")) == read


@pytest.mark.parametrize("key", ["A-1", "", "007", "٣", "-4", "1.5"])
def test_only_a_conversation_chatwoot_can_number_is_seeded(key: str) -> None:
    with pytest.raises(InputError, match="not a whole number"):
        shapes.to_seed(case(key))


# shapes


ROW = {"id": 1, "status": "open", "created_at": 1_760_000_000}
AT = datetime.fromtimestamp(1_760_000_000, UTC)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([ROW], id="list"),
        pytest.param({"payload": [ROW]}, id="payload"),
        pytest.param({"data": [ROW]}, id="data"),
        pytest.param({"data": {"meta": {}, "payload": [ROW]}}, id="data-payload"),
        pytest.param({"meta": {}, "payload": [ROW]}, id="meta-payload"),
    ],
)
def test_rows_are_found_in_every_known_wrapping(body: object) -> None:
    assert shapes.items(body, "rows") == [ROW]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param({"error": "x", "code": 1}, "an object with code, error", id="an-error-for-an-answer"),
        pytest.param({"data": {"meta": {}}}, "an object with data", id="no-payload"),
        pytest.param({"payload": None}, "an object with payload", id="null-payload"),
        pytest.param(None, "nothing", id="null"),
        pytest.param("<html>", "'<html>'", id="text"),
        pytest.param([[1]], "a list of 1", id="lists-in-the-list"),
    ],
)
def test_a_shape_nobody_knows_is_named_and_never_empty(body: object, shown: str) -> None:
    with pytest.raises(RemoteError) as caught:
        shapes.items(body, "the rows")
    assert shown in str(caught.value)
    assert "the rows" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(1_760_000_000, AT, id="seconds"),
        pytest.param(1_760_000_000_000, AT, id="milliseconds"),
        pytest.param(1_760_000_000.5, AT + timedelta(seconds=0.5), id="fraction"),
        pytest.param("1760000000", AT, id="seconds-as-text"),
        pytest.param("2025-10-09T08:53:20Z", AT, id="iso-zulu"),
        pytest.param("2025-10-09T02:53:20-06:00", AT, id="iso-offset"),
        pytest.param("2025-10-09T08:53:20.000", AT, id="iso-without-zone-is-utc"),
        pytest.param(0, datetime(1970, 1, 1, tzinfo=UTC), id="zero"),
        pytest.param("yesterday", None, id="a-word"),
        pytest.param(None, None, id="null"),
        pytest.param(True, None, id="a-boolean"),
        pytest.param(1e300, None, id="beyond-all-calendars"),
        pytest.param(float("nan"), None, id="not-a-number"),
    ],
)
def test_times_are_seconds_milliseconds_or_iso(value: object, expected: datetime | None) -> None:
    if expected is None:
        with pytest.raises(RemoteError, match="when"):
            shapes.moment(value, "when")
    else:
        assert shapes.moment(value, "when") == expected


@pytest.mark.parametrize(
    ("kind", "author"),
    [
        (0, Author.CUSTOMER),
        (1, Author.AGENT),
        (2, Author.SYSTEM),
        (3, Author.SYSTEM),
        ("incoming", Author.CUSTOMER),
        ("outgoing", Author.AGENT),
        ("activity", Author.SYSTEM),
        ("template", Author.SYSTEM),
        (4, None),
        ("contact", None),
        (None, None),
        (True, None),
        ([0], None),
    ],
)
def test_message_types_are_numbers_or_words(kind: object, author: Author | None) -> None:
    row = {"id": 1, "message_type": kind, "created_at": 1_760_000_000, "content": None}
    if author is None:
        with pytest.raises(RemoteError, match="message_type"):
            shapes.message(row)
    else:
        assert shapes.message(row) == Message(id="1", author=author, text="", at=AT)


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        pytest.param({"labels": ["a"]}, {"tags": ("a",)}, id="labels"),
        pytest.param({"tags": ["b"]}, {"tags": ("b",)}, id="tags"),
        pytest.param(
            {"meta": {"sender": {"name": "Jo", "id": 4}}}, {"customer": "Jo", "customer_key": "4"}, id="id"
        ),
        pytest.param(
            {"meta": {"sender": {"id": 4, "identifier": "s-1"}}}, {"customer_key": "s-1"}, id="identifier"
        ),
        pytest.param(
            {"meta": {"sender": {"id": 4, "identifier": "s-1", "email": "a@b"}}},
            {"customer_key": "a@b"},
            id="email",
        ),
        pytest.param(
            {"meta": {"sender": {"name": None}}, "contacts": [{}, {"name": "Kim"}]},
            {"customer": "Kim"},
            id="contacts",
        ),
        pytest.param({"meta": {"sender": {"name": ""}}}, {"customer": ""}, id="no-name-stays-no-name"),
        pytest.param({"priority": None}, {"priority": ""}, id="no-priority"),
        pytest.param({"priority": "none"}, {"priority": ""}, id="priority-none"),
        pytest.param({"inbox_id": 3}, {"inbox": "3"}, id="inbox-without-name"),
        pytest.param(
            {
                "meta": {"assignee": {"email": "a@b"}},
                "additional_attributes": {"n": 1},
                "custom_attributes": {"p": "x"},
            },
            {"extra": {"assignee": "a@b", "n": "1", "p": "x"}},
            id="other-facts-are-kept-as-text",
        ),
        pytest.param(
            {"custom_attributes": {"order_number": 1045, "order_total": 325.5, "refund_pending": "Yes"}},
            {"order": Order(number="1045", total_minor=32550, refund_pending=True)},
            id="order-typed-by-hand",
        ),
    ],
)
def test_a_conversation_is_read_from_what_there_is(over: dict[str, Any], expected: dict[str, Any]) -> None:
    read = shapes.conversation(ROW | over, [])
    assert {name: getattr(read, name) for name in expected} == expected


def form(key: int, answers: object, kind: str = "input_csat") -> dict[str, Any]:
    attributes = {"submitted_values": answers}
    return {
        "id": key, "message_type": 3, "content_type": kind, "created_at": 1, "content_attributes": attributes
    }  # fmt: skip


def rated(rating: object) -> dict[str, Any]:
    return {"csat_survey_response": {"rating": rating, "feedback_message": "fine"}}


@pytest.mark.parametrize(
    ("rows", "csat"),
    [
        pytest.param([form(7, rated(4))], "4", id="answered"),
        pytest.param([form(10, rated(2)), form(9, rated(5))], "2", id="the newest answer"),
        pytest.param([form(7, rated(3)), form(8, None)], "3", id="asked again and not answered"),
        pytest.param([form(7, [{"name": "email", "value": "a@b"}])], None, id="another form's answers"),
        pytest.param([form(7, rated("5<b>"))], None, id="no number"),
        pytest.param([form(7, rated(5), "text")], None, id="not the satisfaction form"),
    ],
)
def test_the_customers_rating_reaches_the_row_of_the_conversation(
    rows: list[dict[str, Any]], csat: str | None
) -> None:
    assert shapes.conversation(ROW, rows).extra.get("csat") == csat


@pytest.mark.parametrize(
    ("over", "said"),
    [
        pytest.param({"status": "closed"}, "status", id="status"),
        pytest.param({"status": None}, "status", id="no-status"),
        pytest.param({"created_at": None}, "created_at", id="no-time"),
        pytest.param({"labels": "a, b"}, "labels", id="labels-as-text"),
        pytest.param(
            {"custom_attributes": {"order_number": "1", "order_total": "NaN"}}, "order_total", id="nan"
        ),
        pytest.param(
            {"custom_attributes": {"order_number": "1", "order_total": "1.005"}}, "order_total", id="mills"
        ),
        pytest.param(
            {"custom_attributes": {"order_number": "1", "refund_pending": "maybe"}},
            "refund_pending",
            id="flag",
        ),
        pytest.param({"custom_attributes": {"status_changes": "closed 5"}}, "status_changes", id="history"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_conversation(over: dict[str, Any], said: str) -> None:
    with pytest.raises(RemoteError, match=rf"conversation 1: cannot read .*{said}"):
        shapes.conversation(ROW | over, [])


@pytest.mark.parametrize(
    ("content", "attributes", "status"),
    [
        pytest.param("Conversation was marked resolved by Ana", {}, Status.RESOLVED, id="resolved"),
        pytest.param("Conversation was reopened by Ana", {}, Status.OPEN, id="reopened"),
        pytest.param("Conversation was snoozed by Ana", {}, Status.SNOOZED, id="snoozed"),
        pytest.param("Conversation was marked as pending by Ana", {}, Status.PENDING, id="pending"),
        pytest.param(
            "Unterhaltung gelöst",
            {"activity": {"type": "conversation_status_changed", "status": "resolved"}},
            Status.RESOLVED,
            id="told-by-attributes",
        ),
        pytest.param("Ana added vip", {}, None, id="no-status"),
        pytest.param("Conversation was muted by Ana", {}, None, id="muted"),
    ],
)
def test_activity_tells_the_status_history(
    content: str, attributes: dict[str, Any], status: Status | None
) -> None:
    row = {"id": 1, "content": content, "created_at": 1_760_000_000, "content_attributes": attributes}
    read = shapes.conversation(ROW, [row | {"message_type": 2}])
    assert read.status_changes == ((StatusChange(status=status, at=AT),) if status else ())
    assert shapes.conversation(ROW, [row | {"message_type": 0}]).status_changes == (), (
        "customers change no status"
    )


# settings and secrets


@pytest.mark.parametrize(
    ("url", "token", "timeout_ms"),
    [
        pytest.param("ftp://chat.example.test", TOKEN, 500, id="not-http"),
        pytest.param("chat.example.test", TOKEN, 500, id="no-scheme"),
        pytest.param("", TOKEN, 500, id="no-url"),
        pytest.param("http://user:hunter2-hunter2@chat.example.test", TOKEN, 500, id="password-in-the-url"),
        pytest.param("http://chat.example.test/?token=hunter2-hunter2", TOKEN, 500, id="query"),
        pytest.param(f"http://{'a' * 64}.test", TOKEN, 500, id="a-name-no-resolver-takes"),
        pytest.param("http://chat.example.test", "", 500, id="no-token"),
        pytest.param("http://chat.example.test", "hunter2-hunter2\n", 500, id="token-with-newline"),
        pytest.param("http://chat.example.test", "hunter2-hunter2-é", 500, id="token-beyond-ascii"),
        pytest.param("http://chat.example.test", TOKEN, 0, id="no-time"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(url: str, token: str, timeout_ms: int) -> None:
    with pytest.raises(SettingError) as caught:
        ChatwootClient(url, 1, token, timeout_ms=timeout_ms)
    assert caught.value.hint
    assert "hunter2-hunter2" not in str(caught.value) + caught.value.hint


def test_the_token_appears_nowhere(desk: ChatwootSimulator, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = [repr(desk)]

    async def everything(client: ChatwootClient) -> None:
        said.append(repr(client) + str(client))
        for call in (
            lambda: client.conversation("999"),
            lambda: client.conversation("101"),
            lambda: client.escalated(),
            lambda: client.whoami(),
            lambda: client.deliver(REPLY),
            lambda: client.find(REPLY),
        ):
            try:
                said.append(repr(await call()))
            except CairnError as error:
                said.append("".join(traceback.format_exception(error)) + error.hint)

    caplog.set_level(logging.DEBUG)
    for fault in (
        [],
        *([{"action": a}] for a in ("server_error", "connection_reset", "timeout", "malformed_body")),
    ):
        desk.set_faults(fault)
        ask(desk.base_url, everything, timeout_ms=150)
    with ChatwootSimulator(None, "another-token") as stranger:
        ask(stranger.base_url, everything)
    assert any("HTTP 401" in text for text in said)
    assert caplog.records
    assert TOKEN not in "\n".join(said) + caplog.text


def test_reading_says_what_to_do_next(desk: ChatwootSimulator) -> None:
    with pytest.raises(NotFound, match=r"conversations/999 in account 1") as lost:
        ask(desk.base_url, lambda c: c.conversation("999"))
    assert lost.value.hint
    with (
        ChatwootSimulator(None, "another-token") as stranger,
        pytest.raises(RemoteError, match="HTTP 401") as refused,
    ):
        ask(stranger.base_url, lambda c: c.escalated())
    assert "CHATWOOT_API_TOKEN" in refused.value.hint


@pytest.fixture
def unknown_authority(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime.now(UTC) - timedelta(days=1),
        not_valid_after=datetime.now(UTC) + timedelta(days=1),
        extensions=[x509.Extension(SAN.oid, False, SAN([x509.DNSName("localhost")]))],
    ).sign(key, hashes.SHA256())
    pem = Encoding.PEM
    (tmp_path / "own.pem").write_bytes(
        key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with suppress(ssl.SSLError), context.wrap_socket(listening.accept()[0], server_side=True):
                        pass

        Thread(target=serve, daemon=True).start()
        yield f"https://localhost:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def test_no_token_goes_to_a_server_nobody_vouches_for(unknown_authority: str) -> None:
    with pytest.raises(RemoteError, match=r"no answer from https://localhost:\d+ \(ETLS\)"):
        ask(unknown_authority, lambda c: c.whoami())
