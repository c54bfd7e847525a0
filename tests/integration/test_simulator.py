"""The simulated help desk over real HTTP: Chatwoot's shapes, durable state, and faults as scripted."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chatwoot
import httpx
import pytest
from chatwoot.exceptions import ChatwootAPIError, ChatwootAuthError, ChatwootNotFoundError

from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.errors import InputError, SettingError

TOKEN = "t0ken-of-the-desk"
T0 = 1_760_000_000


def seed(key: int, **over: Any) -> dict[str, Any]:
    return {
        "id": key,
        "status": "open",
        "created_at": T0,
        "contact": {"name": "Alex Rivera", "email": f"alex{key}@example.test"},
        "labels": ["shipping"],
        "messages": [
            {"message_type": 0, "content": "still in transit", "created_at": T0},
            {"message_type": 1, "content": "we look", "created_at": T0 + 60},
        ],
    } | over


@pytest.fixture(scope="module")
def running() -> Iterator[ChatwootSimulator]:
    with ChatwootSimulator(None, TOKEN) as simulator:
        yield simulator


@pytest.fixture
def desk(running: ChatwootSimulator) -> ChatwootSimulator:
    running.state.reset()
    running.seed(seed(101))
    return running


@pytest.fixture
def http(desk: ChatwootSimulator) -> Iterator[httpx.Client]:
    with client(desk.base_url) as made:
        yield made


def client(base_url: str, timeout: float = 10) -> httpx.Client:
    return httpx.Client(
        base_url=f"{base_url}/api/v1/accounts/1",
        headers={"api_access_token": TOKEN},
        timeout=timeout,
        trust_env=False,
    )


def until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


# the official client, unchanged


def use_the_official_client(sdk: chatwoot.ChatwootClient) -> None:
    assert sdk.profile.get().accounts[0].id == 1
    assert [a.role.value for a in sdk.agents.list(1)] == ["administrator"]
    assert [i.channel_type for i in sdk.inboxes.list(1)] == ["Channel::Api"]

    (listed,) = sdk.conversations.list(1, status="open", labels=["shipping"])
    assert (listed.id, listed.labels, listed.status.value) == (101, ["shipping"], "open")
    assert listed.meta is not None and listed.meta.sender is not None
    assert listed.meta.sender.name == "Alex Rivera"
    assert sdk.conversations.list(1, status="resolved") == []
    assert sdk.conversations.get_counts(1)["meta"]["all_count"] == 1
    assert sdk.conversations.get(1, 101).created_at == T0

    assert sdk.conversations.labels.list(1, 101) == ["shipping"]
    assert sdk.conversations.labels.add(1, 101, ["escalation"]) == ["escalation"]
    assert sdk.conversations.labels.list(1, 101) == ["escalation"]

    reply = sdk.messages.create(1, 101, "Hi Alex", content_attributes={"cairnops_run_key": "k1"})
    note = sdk.messages.create(1, 101, "asked the carrier", private=True)
    assert (reply.message_type, reply.private, note.private) == (1, False, True)
    assert reply.content_attributes == {"cairnops_run_key": "k1"}
    said = sdk.messages.list(1, 101)
    assert [m.content for m in said if m.message_type == 1] == ["we look", "Hi Alex", "asked the carrier"]

    assert sdk.conversations.toggle_status(1, 101, "resolved").current_status.value == "resolved"
    assert sdk.conversations.get(1, 101).status.value == "resolved"
    assert sdk.conversations.update(1, 101, priority="urgent").priority.value == "urgent"

    made = sdk.contacts.create(1, inbox_id=1, name="Jordan Lee", email="jordan@example.test")
    assert made.contact_inbox.source_id
    assert sdk.contacts.get(1, made.contact.id).email == "jordan@example.test"
    assert [c.name for c in sdk.contacts.search(1, "jordan@")] == ["Jordan Lee"]
    assert {c.name for c in sdk.contacts.list(1)} == {"Alex Rivera", "Jordan Lee"}

    with pytest.raises(ChatwootNotFoundError):
        sdk.conversations.get(1, 999)
    with pytest.raises(ChatwootNotFoundError):
        sdk.conversations.list(2)
    with pytest.raises(ChatwootAPIError, match="422"):
        sdk.conversations.toggle_status(1, 101, "closed")


class Awaited:
    """The async client, called as if it were the sync one: each call is awaited to its end."""

    def __init__(self, wrapped: Any, loop: asyncio.AbstractEventLoop):
        self._wrapped, self._loop = wrapped, loop

    def __getattr__(self, name: str) -> Any:
        return Awaited(getattr(self._wrapped, name), self._loop)

    def __call__(self, *args: Any, **given: Any) -> Any:
        return self._loop.run_until_complete(self._wrapped(*args, **given))


def test_the_official_client_works_unchanged(desk: ChatwootSimulator) -> None:
    with chatwoot.ChatwootClient(desk.base_url, TOKEN) as sdk:
        use_the_official_client(sdk)


def test_the_official_async_client_works_unchanged(desk: ChatwootSimulator) -> None:
    with asyncio.Runner() as runner:
        sdk = chatwoot.AsyncChatwootClient(desk.base_url, TOKEN)
        try:
            use_the_official_client(Awaited(sdk, runner.get_loop()))  # type: ignore[arg-type]
        finally:
            runner.run(sdk.aclose())


def test_a_wrong_token_is_told_in_chatwoots_shape(desk: ChatwootSimulator) -> None:
    with chatwoot.ChatwootClient(desk.base_url, "wrong") as sdk, pytest.raises(ChatwootAuthError):
        sdk.profile.get()
    wrong = httpx.get(
        f"{desk.base_url}/api/v1/profile", headers={"api_access_token": "wrong"}, trust_env=False
    )
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Invalid Access Token"})
    for path in ("/api/v1/accounts/1/conversations", "/simulator/health", "/simulator/requests"):
        none = httpx.get(desk.base_url + path, trust_env=False)
        assert (none.status_code, list(none.json())) == (401, ["errors"])


# shapes and paging


def test_conversations_come_25_a_page_with_the_latest_activity_first(
    desk: ChatwootSimulator, http: httpx.Client
) -> None:
    for key in range(1, 61):
        desk.seed(seed(key, created_at=T0 + key, messages=[], labels=["x"]))
    pages = [
        http.get("/conversations", params={"page": n, "labels[]": "x"}).json()["data"] for n in (1, 2, 3, 4)
    ]
    assert [len(page["payload"]) for page in pages] == [25, 25, 10, 0]
    assert [row["id"] for page in pages for row in page["payload"]] == list(range(60, 0, -1))
    assert pages[0]["meta"] == {"mine_count": 0, "unassigned_count": 60, "assigned_count": 0, "all_count": 60}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, [1, 2], id="open-when-nothing-is-said"),
        pytest.param({"status": "all"}, [1, 2, 3, 4], id="every-status"),
        pytest.param({"status": "pending"}, [3], id="pending"),
        pytest.param(
            {"status": "all", "labels[]": ["VIP", "legal"]}, [2, 4], id="any-label-whatever-the-case"
        ),
        pytest.param({"status": "all", "inbox_id": 2}, [4], id="inbox"),
        pytest.param({"status": "all", "team_id": 1}, [3], id="team"),
        pytest.param({"assignee_type": "unassigned"}, [2], id="unassigned"),
        pytest.param({"assignee_type": "me"}, [1], id="me"),
        pytest.param({"q": "ZIPPER"}, [4], id="text-in-any-status"),
    ],
)
def test_the_list_narrows_as_asked(
    desk: ChatwootSimulator, http: httpx.Client, query: dict[str, Any], expected: list[int]
) -> None:
    desk.state.reset()
    desk.seed(seed(1))
    desk.seed(seed(2, labels=["vip"]))
    desk.seed(seed(3, status="pending", team="Leads"))
    zipper = [{"message_type": 0, "content": "the zipper broke", "created_at": T0}]
    desk.seed(seed(4, status="resolved", labels=["legal"], inbox="Mail", messages=zipper))
    assert (
        http.post("/conversations/1/assignments", json={"assignee_id": 1}).json()["email"]
        == "desk@example.test"
    )
    rows = http.get("/conversations", params=query).json()["data"]["payload"]
    assert sorted(row["id"] for row in rows) == expected


def condition(
    key: str, values: list[Any], operator: str = "equal_to", joined: str | None = None
) -> dict[str, Any]:
    return {"attribute_key": key, "filter_operator": operator, "values": values, "query_operator": joined}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([condition("status", ["open"])], [1, 2], id="one"),
        pytest.param([condition("status", ["all"])], [1, 2, 3], id="all-statuses"),
        pytest.param([condition("labels", ["vip", "legal"])], [2, 3], id="any-of-the-values"),
        pytest.param([condition("labels", ["vip"], "not_equal_to")], [1, 3], id="not"),
        pytest.param([condition("labels", [], "is_not_present")], [1], id="nothing-there"),
        pytest.param([condition("created_at", [str(T0 + 1)], "is_greater_than")], [3], id="younger"),
        pytest.param(
            [condition("status", ["open"], joined="AND"), condition("labels", ["vip"])], [2], id="and"
        ),
        pytest.param(
            [
                condition("display_id", [1], joined="OR"),
                condition("status", ["resolved"], joined="AND"),
                condition("labels", ["vip"]),
            ],
            [1],
            id="and-binds-tighter-than-or",
        ),
    ],
)
def test_the_filter_holds_conditions_as_sql_would(
    desk: ChatwootSimulator, http: httpx.Client, conditions: list[dict[str, Any]], expected: list[int]
) -> None:
    desk.state.reset()
    desk.seed(seed(1, labels=[]))
    desk.seed(seed(2, labels=["vip"], created_at=T0 + 1))
    desk.seed(seed(3, labels=["legal"], created_at=T0 + 2, status="resolved"))
    body = http.post("/conversations/filter", params={"page": 1}, json={"payload": conditions}).json()
    assert sorted(row["id"] for row in body["payload"]) == expected
    assert body["meta"]["all_count"] == len(expected)


def test_a_filter_it_does_not_know_is_refused(http: httpx.Client) -> None:
    refused = http.post("/conversations/filter", json={"payload": [condition("mood", ["bad"])]})
    assert refused.status_code == 422
    assert "mood" in refused.json()["error"]


def test_messages_page_back_and_forth_in_ascending_windows(
    desk: ChatwootSimulator, http: httpx.Client
) -> None:
    said = [{"id": n, "message_type": 0, "content": str(n), "created_at": T0 + n} for n in range(1, 151)]
    desk.seed(seed(101, messages=said))

    def window(**query: int) -> list[int]:
        body = http.get("/conversations/101/messages", params=query).json()
        assert set(body) == {"meta", "payload"}
        return [m["id"] for m in body["payload"]]

    assert window() == list(range(131, 151))
    assert window(before=131) == list(range(111, 131))
    assert window(before=6) == [1, 2, 3, 4, 5]
    assert window(before=1) == []
    assert window(after=30) == list(range(31, 131)), "a hundred at most"
    assert window(after=10, before=14) == [10, 11, 12, 13]


def test_labels_are_replaced_and_the_change_is_told(desk: ChatwootSimulator, http: httpx.Client) -> None:
    assert http.post("/conversations/101/labels", json={"labels": ["a", "b", "a"]}).json() == {
        "payload": ["a", "b"]
    }
    assert http.get("/conversations/101/labels").json() == {"payload": ["a", "b"]}
    told = [m["content"] for m in desk.messages(101) if m["message_type"] == 2]
    assert told == ["Desk added a, b", "Desk removed shipping"]


def test_a_status_is_set_or_toggled_and_told_once(desk: ChatwootSimulator, http: httpx.Client) -> None:
    path = "/conversations/101/toggle_status"
    seen = [
        http.post(path, json={"status": s}).json()["payload"]["current_status"]
        for s in ("pending", "pending")
    ]
    seen += [http.post(path, json={}).json()["payload"]["current_status"] for _ in range(2)]
    assert seen == ["pending", "pending", "open", "resolved"]
    told = [
        m["content_attributes"]["activity"]["status"] for m in desk.messages(101) if m["message_type"] == 2
    ]
    assert told == ["pending", "open", "resolved"], "a status that stood already is no change"


def test_a_customers_message_reopens_a_resolved_conversation(
    desk: ChatwootSimulator, http: httpx.Client
) -> None:
    desk.seed(seed(101, status="resolved"))
    http.post("/conversations/101/messages", json={"content": "again!", "message_type": "incoming"})
    assert http.get("/conversations/101").json()["status"] == "open"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("POST", "/conversations/101/messages", {"content": 5}, 422, id="text-that-is-a-number"),
        pytest.param("POST", "/conversations/101/messages", {"content": "x" * 150_001}, 422, id="too-long"),
        pytest.param("POST", "/conversations/101/messages", {"message_type": "x"}, 422, id="no-such-type"),
        pytest.param("POST", "/conversations/101/messages", [1], 422, id="a-list-for-a-body"),
        pytest.param("POST", "/conversations/101/labels", {"labels": "a"}, 422, id="labels-not-a-list"),
        pytest.param("POST", "/conversations/102/labels", {"labels": []}, 404, id="no-such-conversation"),
        pytest.param("GET", f"/conversations/{10**30}", None, 404, id="a-number-too-big-for-any-database"),
        pytest.param("PATCH", "/conversations/101", {"priority": "soon"}, 422, id="no-such-priority"),
        pytest.param("GET", "/contacts/77", None, 404, id="no-such-contact"),
        pytest.param("GET", "/contacts/search", None, 422, id="search-for-nothing"),
        pytest.param("GET", "/reports", None, 404, id="not-simulated"),
    ],
)
def test_what_cannot_be_done_is_told_in_chatwoots_shape(
    http: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    refused = http.request(method, path, json=body)
    assert (refused.status_code, list(refused.json())) == (status, ["error"])


def test_attributes_and_echo_come_back_as_they_went(desk: ChatwootSimulator, http: httpx.Client) -> None:
    desk.seed(
        seed(101, custom_attributes={"order_number": "#EVR-1045"}, additional_attributes={"mail": {"a": 1}})
    )
    row = http.get("/conversations/101").json()
    assert row["custom_attributes"] == {"order_number": "#EVR-1045"}
    assert row["additional_attributes"] == {"mail": {"a": 1}}
    kept = {"cairnops_run_key": "k", "nested": {"a": [1, None]}}
    body = {"content": "x", "content_attributes": kept, "echo_id": "e1", "content_type": "text"}
    made = http.post("/conversations/101/messages", json=body).json()
    assert (made["content_attributes"], made["echo_id"]) == (kept, "e1")
    assert "echo_id" not in http.get("/conversations/101/messages").json()["payload"][-1]
    http.post("/conversations/101/custom_attributes", json={"custom_attributes": {"b": 2}})
    assert http.get("/conversations/101").json()["custom_attributes"] == {"b": 2}


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        pytest.param(
            "application/x-www-form-urlencoded", b"content=a%26b&private=true", ("a&b", True), id="form"
        ),
        pytest.param(
            "multipart/form-data; boundary=x",
            b"--x\r\ncontent-disposition: form-data; name=content\r\n\r\n\xc3\xbc\r\n \r\n--x--\r\n",
            ("\u00fc\r\n ", False),
            id="multipart",
        ),
        pytest.param("multipart/form-data", b"--x\r\n", None, id="multipart-without-a-boundary"),
        pytest.param("application/x-www-form-urlencoded", b"content=\xff", None, id="form-that-is-no-text"),
        pytest.param("application/json", b"{", None, id="json-cut-off"),
    ],
)
def test_a_body_is_read_in_the_encodings_clients_use(
    desk: ChatwootSimulator, http: httpx.Client, kind: str, body: bytes, expected: tuple[str, bool] | None
) -> None:
    told = http.post("/conversations/101/messages", content=body, headers={"content-type": kind})
    if expected is None:
        assert (told.status_code, list(told.json())) == (400, ["error"])
    else:
        assert (told.json()["content"], told.json()["private"]) == expected


# the simulator's own surface


def test_seeding_again_replaces(desk: ChatwootSimulator, http: httpx.Client) -> None:
    root = desk.base_url + "/simulator"
    once = seed(
        7, messages=[{"id": 50, "message_type": 0, "content": "a", "created_at": "2025-10-09T08:53:20Z"}]
    )
    for _ in range(2):
        assert http.post(root + "/conversations", json=once).json()["id"] == 7
    (message,) = http.get(root + "/messages", params={"conversation_id": 7}).json()["messages"]
    assert (message["id"], message["created_at"]) == (50, T0)
    assert http.get(root + "/health").json()["conversations"] == 2
    assert len(desk.state.records("contact")) == 2, "one person, one contact"
    http.delete(root + "/reset")
    assert http.get(root + "/health").json()["conversations"] == 0


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        pytest.param("conversations", {"id": 1}, "created_at", id="seed-without-time"),
        pytest.param("conversations", seed(1, colour="red"), "colour", id="seed-with-unknown-field"),
        pytest.param("conversations", seed(1, status="closed"), "status", id="seed-with-unknown-status"),
        pytest.param("conversations", seed(1, created_at="soon"), "created_at", id="seed-with-no-time"),
        pytest.param("faults", [{"action": "explode"}], "action", id="no-such-action"),
        pytest.param("faults", [{"match": {"call": "any"}}], "action", id="fault-without-action"),
        pytest.param("faults", [{"action": "slow", "match": {"cal": "get"}}], "cal", id="misspelt-match"),
        pytest.param("faults", [{"action": "timeout", "delay_ms": 5}], "delay_ms", id="idle-parameter"),
        pytest.param("faults", [{"action": "server_error", "status": 404}], "status", id="status-not-5xx"),
        pytest.param(
            "faults", [{"action": "slow", "match": {"attempts": [0]}}], "attempts", id="attempt-zero"
        ),
    ],
)
def test_bad_orders_to_the_simulator_name_the_field(
    desk: ChatwootSimulator, http: httpx.Client, path: str, body: Any, said: str
) -> None:
    refused = http.post(f"{desk.base_url}/simulator/{path}", json=body)
    assert refused.status_code == 422
    assert said in refused.json()["error"]
    with pytest.raises(InputError, match=said):
        desk.seed(body) if path == "conversations" else desk.set_faults(body)


def test_the_clock_can_be_held(desk: ChatwootSimulator, http: httpx.Client) -> None:
    http.post(desk.base_url + "/simulator/clock", json={"now": T0 + 600})
    assert http.post("/conversations/101/messages", json={"content": "x"}).json()["created_at"] == T0 + 600
    http.post(desk.base_url + "/simulator/clock", json={"now": None})
    assert http.post("/conversations/101/messages", json={"content": "y"}).json()["created_at"] > T0 + 600


def test_every_call_is_logged_with_its_run_key_and_fault(desk: ChatwootSimulator, http: httpx.Client) -> None:
    desk.set_faults([{"match": {"call": "private_note"}, "action": "rate_limited", "retry_after_s": 7}])
    body = {"content": "x", "private": True, "content_attributes": {"cairnops_run_key": "k9"}}
    limited = http.post("/conversations/101/messages", json=body)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    http.get("/conversations/101/labels", headers={"idempotency-key": "k10"})
    first, second = http.get(desk.base_url + "/simulator/requests").json()["requests"]
    assert (first["index"], first["call"], first["conversation_id"]) == (1, "private_note", 101)
    assert (first["run_key"], first["fault"]) == ("k9", "rate_limited")
    assert (second["call"], second["run_key"], second["fault"]) == ("labels_read", "k10", "")


# faults


REPLY = {"content": "Hi Alex", "content_attributes": {"cairnops_run_key": "k1"}}


@pytest.mark.parametrize(
    ("fault", "seen", "processed"),
    [
        pytest.param({"action": "timeout"}, httpx.ReadTimeout, False, id="timeout"),
        pytest.param({"action": "connection_reset"}, httpx.ReadError, False, id="connection_reset"),
        pytest.param({"action": "rate_limited"}, 429, False, id="rate_limited"),
        pytest.param({"action": "server_error"}, 503, False, id="server_error"),
        pytest.param({"action": "server_error", "status": 500}, 500, False, id="server_error-500"),
        pytest.param({"action": "slow", "delay_ms": 50}, 200, True, id="slow"),
        pytest.param(
            {"action": "slow", "delay_ms": 60_000}, httpx.ReadTimeout, False, id="slow-beyond-patience"
        ),
        pytest.param({"action": "accepted_no_answer"}, httpx.ReadTimeout, True, id="accepted_no_answer"),
        pytest.param(
            {"action": "accepted_no_answer", "close": True},
            httpx.ReadError,
            True,
            id="accepted_no_answer-close",
        ),
        pytest.param({"action": "accepted_late", "delay_ms": 50}, 200, True, id="accepted_late-in-time"),
        pytest.param({"action": "malformed_body"}, ValueError, True, id="malformed_body"),
    ],
)
def test_each_fault_is_what_it_says(
    desk: ChatwootSimulator, fault: dict[str, Any], seen: int | type[Exception], processed: bool
) -> None:
    desk.set_faults([{"match": {"call": "create_message"}} | fault])
    with client(desk.base_url, timeout=30 if isinstance(seen, int) else 0.4) as http:
        if isinstance(seen, int):
            assert http.post("/conversations/101/messages", json=REPLY).status_code == seen
        else:
            with pytest.raises(seen):
                answer = http.post("/conversations/101/messages", json=REPLY)
                assert answer.status_code == 200
                answer.json()
    assert [m["run_key"] for m in desk.messages(101) if m["run_key"]] == ["k1"] * processed


def test_a_late_one_lands_after_the_caller_left(desk: ChatwootSimulator) -> None:
    desk.set_faults([{"action": "accepted_late", "delay_ms": 1500}])
    with client(desk.base_url, timeout=0.1) as http, pytest.raises(httpx.ReadTimeout):
        http.post("/conversations/101/messages", json=REPLY)
    assert not any(m["run_key"] for m in desk.messages(101))
    assert until(lambda: any(m["run_key"] == "k1" for m in desk.messages(101)))


def test_attempts_count_the_requests_that_fit(desk: ChatwootSimulator, http: httpx.Client) -> None:
    desk.seed(seed(102))
    desk.set_faults(
        [
            {
                "match": {"call": "create_message", "conversation_id": 101, "attempts": [1, 3]},
                "action": "server_error",
            },
            {"match": {"call": "any", "attempts": [7]}, "action": "rate_limited"},
        ]
    )
    posts = [
        http.post(f"/conversations/{key}/messages", json=REPLY | {"private": private}).status_code
        for key, private in [
            (102, False),
            (101, True),
            (101, False),
            (101, False),
            (101, False),
            (101, False),
        ]
    ]
    assert posts == [200, 200, 503, 200, 503, 200]
    assert http.get("/conversations/101").status_code == 429, "the seventh of any"
    assert [f["seen"] for f in http.get(desk.base_url + "/simulator/faults").json()["faults"]] == [4, 7]


def test_random_faults_repeat_with_their_seed(desk: ChatwootSimulator, http: httpx.Client) -> None:
    def rolled(dice: int) -> list[int]:
        chance = {"rate_percent": 40, "seed": dice, "actions": ["server_error", "rate_limited"]}
        desk.set_faults([{"random": chance, "status": 502}])
        return [http.get("/conversations/101").status_code for _ in range(30)]

    first = rolled(7)
    assert set(first) == {200, 502, 429}
    assert rolled(7) == first
    assert rolled(8) != first


# life and death


def test_it_stops_at_once_while_requests_hang(tmp_path: Path) -> None:
    hanging: list[Exception] = []
    simulator = ChatwootSimulator(tmp_path / "desk.sqlite", TOKEN).start()
    simulator.seed(seed(101))
    simulator.set_faults(
        [
            {"match": {"call": "get"}, "action": "timeout"},
            {"match": {"call": "create_message"}, "action": "accepted_late", "delay_ms": 60_000},
            {"match": {"call": "list"}, "action": "slow", "delay_ms": 60_000},
        ]
    )

    def hang(method: str, path: str) -> None:
        with client(simulator.base_url, timeout=30) as http:
            try:
                http.request(method, path, json=REPLY if method == "POST" else None)
            except httpx.TransportError as error:
                hanging.append(error)

    calls = [
        ("GET", "/conversations/101"),
        ("POST", "/conversations/101/messages"),
        ("GET", "/conversations"),
    ]
    threads = [threading.Thread(target=hang, args=call) for call in calls]
    for thread in threads:
        thread.start()
    assert until(lambda: len(simulator.requests()) == len(calls))
    began = time.monotonic()
    simulator.stop()
    took = time.monotonic() - began
    for thread in threads:
        thread.join(30)
    assert took < 10, "it waited for them"
    assert len(hanging) == len(calls)
    simulator.stop()
    with ChatwootSimulator(tmp_path / "desk.sqlite", TOKEN, port=simulator.port) as again:
        assert not any(m["run_key"] for m in again.messages(101)), "what hung at the end never lands"


def test_a_port_in_use_is_one_clear_sentence(desk: ChatwootSimulator) -> None:
    with pytest.raises(SettingError, match="cannot listen"):
        ChatwootSimulator(None, TOKEN, port=desk.port)


def test_a_state_that_is_no_database_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello " * 1000)
    with pytest.raises(SettingError, match=r"notes\.txt"):
        ChatwootSimulator(tmp_path / "notes.txt", TOKEN)


HOST = """
import sys
from pathlib import Path
from cairnops.connectors.chatwoot.simulator import serve
serve(Path(sys.argv[1]), sys.argv[2], port=int(sys.argv[3]), on_ready=lambda s: print(s.base_url, flush=True))
print("stopped cleanly", flush=True)
"""


@contextmanager
def hosted(state: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-W", "error", "-c", HOST, str(state), TOKEN, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_what_was_answered_survives_a_sigkill(tmp_path: Path) -> None:
    state = tmp_path / "desk.sqlite"
    faults = [{"match": {"call": "create_message", "attempts": [4]}, "action": "server_error"}]
    with hosted(state) as (process, base_url), client(base_url) as http:
        http.post(base_url + "/simulator/conversations", json=seed(101)).raise_for_status()
        http.post(base_url + "/simulator/faults", json=faults).raise_for_status()
        answered = [http.post("/conversations/101/messages", json=REPLY).json()["id"] for _ in range(3)]
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    port = int(base_url.rpartition(":")[2])
    with hosted(state, port) as (_, again), client(again) as http:
        assert again == base_url
        kept = [m["id"] for m in http.get(again + "/simulator/messages").json()["messages"] if m["run_key"]]
        assert kept == answered
        assert [http.post("/conversations/101/messages", json=REPLY).status_code for _ in range(2)] == [
            503,
            200,
        ]
        assert [r["index"] for r in http.get(again + "/simulator/requests").json()["requests"]] == [
            1,
            2,
            3,
            4,
            5,
        ]


@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGINT, id="ctrl-c"), pytest.param(signal.SIGTERM, id="term")]
)
def test_serving_ends_cleanly_on_a_signal(tmp_path: Path, how: signal.Signals) -> None:
    with hosted(tmp_path / "desk.sqlite") as (process, base_url), client(base_url) as http:
        http.post(base_url + "/simulator/faults", json=[{"action": "timeout"}]).raise_for_status()
        with pytest.raises(httpx.ReadTimeout):
            http.get("/conversations", timeout=0.2)
        process.send_signal(how)
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read().splitlines() == ["stopped cleanly"]
