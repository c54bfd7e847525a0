"""A Chatwoot account as it is found: what the check says of it, and cases put there to practise on and taken away."""

import asyncio
import json
import re
import shlex
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from cairnops.connectors.chatwoot import shapes, smoke
from cairnops.connectors.chatwoot.client import ChatwootClient, Reads
from cairnops.connectors.chatwoot.sandbox import INBOX, Case, Put, Sandbox
from cairnops.connectors.chatwoot.simulator import ChatwootSimulator
from cairnops.connectors.checks import Line
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Role, Status
from cairnops.domain.delivery import Answer, Effect, EffectKind, Found, Result
from cairnops.domain.policy import Assignment, EscalationPolicy, LabelPolicy, Policy
from cairnops.domain.requests import Action, Request
from cairnops.errors import CairnError, RemoteError, SettingError
from cairnops.scenarios.loader import load_pack
from cairnops.settings import Settings
from cairnops.workspace import Workspace, now

TOKEN = "t0ken-of-the-account"
T0 = datetime(2025, 10, 9, 14, 0, tzinfo=UTC)
T = TypeVar("T")


@pytest.fixture(scope="module")
def running() -> Iterator[ChatwootSimulator]:
    with ChatwootSimulator(None, TOKEN) as simulator:
        yield simulator


@pytest.fixture
def desk(running: ChatwootSimulator, monkeypatch: pytest.MonkeyPatch) -> ChatwootSimulator:
    running.state.reset()
    monkeypatch.setenv("CHATWOOT_BASE_URL", running.base_url)
    monkeypatch.setenv("CHATWOOT_API_TOKEN", TOKEN)
    return running


def furnish(desk: ChatwootSimulator, **given: Any) -> None:
    answer = httpx.post(
        f"{desk.base_url}/simulator/account", json=given, headers={"api_access_token": TOKEN}, trust_env=False
    )
    assert answer.status_code == 200, answer.text


def ask(base_url: str, what: Callable[[ChatwootClient], Awaitable[T]], **more: Any) -> T:
    async def asked() -> T:
        account, reads = more.pop("account", 1), more.pop("reads", None)
        async with ChatwootClient(
            base_url, account, more.pop("token", TOKEN), timeout_ms=5000, reads=reads, **more
        ) as client:
            return await what(client)

    return asyncio.run(asked())


def case(key: str, **over: Any) -> Conversation:
    fields: dict[str, Any] = {
        "id": key,
        "customer": "Alex Rivera",
        "customer_key": f"alex{key}@example.test",
        "status": Status.OPEN,
        "created_at": T0,
        "messages": (Message(id=f"{key}1", author=Author.CUSTOMER, text="where is it?", at=T0),),
    }
    return Conversation(**(fields | over))


# the check


def lines(desk: ChatwootSimulator, policy: Policy | None = None, **more: Any) -> dict[str, Line]:
    found, _ = ask(desk.base_url, lambda c: smoke.check(c, policy or Policy()), **more)
    return {line.what: line for line in found}


LEADS = Policy(escalation=EscalationPolicy(assign=(Assignment(role=Role.MANAGER, team="Managers"),)))


@pytest.mark.parametrize(
    ("given", "more", "what", "said", "fix"),
    [
        pytest.param(
            {"bot": True}, {}, smoke.TOKEN, "not authorized for bots", "an agent's", id="a-bots-token"
        ),
        pytest.param(
            {},
            {"token": "wrong"},
            smoke.TOKEN,
            "Invalid Access Token",
            "CHATWOOT_API_TOKEN",
            id="wrong-token",
        ),
        pytest.param(
            {},
            {"account": 7},
            smoke.ACCOUNT,
            "but in: 1 (Simulator)",
            "CHATWOOT_ACCOUNT_ID",
            id="other-account",
        ),
        pytest.param(
            {"status": "suspended"}, {}, smoke.ACCOUNT, "1 is suspended", "Ask whoever", id="suspended"
        ),
        pytest.param(
            {"permissions": ["report_manage"]},
            {},
            smoke.WRITING,
            "only: report_manage",
            "conversation_manage",
            id="a-role-that-may-not",
        ),
        pytest.param(
            {},
            {"policy": Policy(labels=LabelPolicy(escalation="L3", escalated=("L3",)))},
            smoke.LABELS,
            "no label “L3”",
            "labels.escalation",
            id="no-label",
        ),
        pytest.param(
            {"teams": ["CX leads"]},
            {"policy": LEADS},
            smoke.TEAMS,
            "gives cases to Managers, unknown here. Teams: CX leads",
            "escalation.assign",
            id="no-team",
        ),
        pytest.param(
            {},
            {"reads": Reads(inboxes=("Mail",))},
            smoke.READING,
            "no inboxes called Mail",
            "CHATWOOT_INBOXES",
            id="no-inbox-to-read",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    desk: ChatwootSimulator, given: dict[str, Any], more: dict[str, Any], what: str, said: str, fix: str
) -> None:
    furnish(desk, **given)
    found = lines(desk, **more)
    assert [line.what for line in found.values() if line.state == "blocked"] == [what]
    assert said in found[what].detail and fix in found[what].fix
    after = list(found)[list(found).index(what) + 1 :]
    if what in (smoke.TOKEN, smoke.ACCOUNT):
        assert {found[name].state for name in after} == {"not checked"}


def test_an_account_in_order_is_ready_line_by_line_and_nothing_is_written(desk: ChatwootSimulator) -> None:
    furnish(
        desk,
        name="Acme sandbox",
        features={"sla": True},
        sla_policies=["Gold", "Silver"],
        teams=["Managers"],
        inboxes=[{"name": "Shop", "channel_type": "Channel::WebWidget"}],
    )
    desk.seed(shapes.to_seed(case("101", inbox="Shop", tags=("vip",))))
    found = lines(desk, LEADS)
    assert {line.state for line in found.values()} == {"ready"}
    for what, said in (
        (smoke.SERVER, "Chatwoot 4.8.0"),
        (smoke.TOKEN, "Desk <desk@example.test>"),
        (smoke.ACCOUNT, "1, Acme sandbox; administrator there"),
        (smoke.INBOXES, "Shop (Web Widget)"),
        (smoke.READING, "of 101, messages read: 1, labels: 1"),
        (smoke.TEAMS, "manager: Managers"),
        (smoke.SLA, "policies: Gold, Silver"),
        (smoke.SANDBOX, "packs may be seeded"),
    ):
        assert said in found[what].detail, what
    assert {r["method"] for r in desk.requests()} == {"GET"}


def test_a_web_page_is_no_help_desk() -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n<html")
        writer.close()

    async def checked() -> list[Line]:
        async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with ChatwootClient(f"http://127.0.0.1:{port}", 1, TOKEN, timeout_ms=5000) as client:
                return (await smoke.check(client, Policy()))[0]

    first, token, *rest = asyncio.run(checked())
    assert "does not say which" in first.detail
    assert (token.state, token.fix) == (
        "blocked",
        "Check that CHATWOOT_BASE_URL names the Chatwoot server itself.",
    )
    assert {line.state for line in rest} == {"not checked"}


def test_a_line_that_cannot_be_looked_at_does_not_hide_the_others(desk: ChatwootSimulator) -> None:
    desk.set_faults([{"match": {"call": "list"}, "action": "server_error"}])
    assert [line.what for line in lines(desk).values() if line.state == "blocked"] == [smoke.READING]


def test_the_command_is_data_and_tells_by_its_exit_code(
    desk: ChatwootSimulator, cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = cli("chatwoot", "smoke", "-w", tmp_path, "--json")
    assert done.code == 0 and json.loads(done.out)[0]["what"] == smoke.SERVER
    monkeypatch.setenv("CHATWOOT_API_TOKEN", "canary-1f6a20")
    done = cli("chatwoot", "smoke", "-w", tmp_path, columns=200)
    assert done.code == 1 and "✗ blocked" in done.out and "canary" not in done.out + done.err
    monkeypatch.setenv("CHATWOOT_BASE_URL", "http://127.0.0.1:9")
    done = cli("chatwoot", "smoke", "-w", tmp_path, columns=200)
    assert done.code == 1 and "ECONNREFUSED" in done.out
    monkeypatch.delenv("CHATWOOT_BASE_URL")
    assert "simulator of this workspace" in " ".join(cli("chatwoot", "smoke", "-w", tmp_path).out.split())


# seeding


def fill(desk: ChatwootSimulator, *cases: Case, at: datetime = T0, session: str = "") -> list[Put]:
    return ask(desk.base_url, lambda c: Sandbox(c).fill(cases, at, session))


def of_pack(name: str) -> list[Case]:
    return [Case(pack=name, scenario=s.id, world=s.conversation) for s in load_pack(name).scenarios]


def alike(found: Conversation, wanted: Conversation) -> dict[str, tuple[Any, Any]]:
    """Where a conversation read back differs from the world it was made from, but for ids and who keeps them."""

    def said(c: Conversation) -> list[tuple[Any, ...]]:
        return [(m.author, m.text, m.at, m.private) for m in c.messages if m.author is not Author.SYSTEM]

    told = {
        "customer": (found.customer, wanted.customer),
        "person": (found.customer_key.rpartition(":")[2], wanted.customer_key),
        "status": (found.status, wanted.status),
        "created": (found.created_at, wanted.created_at),
        "labels": (set(found.tags), set(wanted.tags)),
        "priority": (found.priority, wanted.priority),
        "order": (found.order, wanted.order),
        "said": (said(found), said(wanted)),
        "changes": (set(wanted.status_changes) - set(found.status_changes), set()),
        "extra": (found.extra, wanted.extra),
    }
    return {name: pair for name, pair in told.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("name", ["cx-escalations", "practice-library"])
def test_every_case_of_a_pack_is_read_back_as_its_scenario_has_it(desk: ChatwootSimulator, name: str) -> None:
    put = fill(desk, *of_pack(name))
    scenarios = load_pack(name).scenarios
    assert [p.scenario for p in put] == [s.id for s in scenarios]

    async def read(client: ChatwootClient) -> list[Conversation]:
        return [await client.conversation(p.conversation) for p in put]

    for found, scenario in zip(ask(desk.base_url, read), scenarios, strict=True):
        assert alike(found, scenario.conversation(T0)) == {}, scenario.id
        assert found.inbox == INBOX


def test_nobody_made_up_can_be_written_to(desk: ChatwootSimulator) -> None:
    fill(desk, *of_pack("cx-escalations"))
    assert {c["email"] for c in desk.state.records("contact")} == {None}
    (inbox,) = [i for i in desk.state.records("inbox") if i["name"] == INBOX]
    assert (inbox["channel_type"], inbox["webhook_url"]) == ("Channel::Api", None)


def test_seeding_again_begins_nothing_again_and_leaves_what_was_worked(desk: ChatwootSimulator) -> None:
    (first,) = fill(desk, *of_pack("cx-escalations")[:1])

    async def work(client: ChatwootClient) -> Conversation:
        for kind, payload in (
            (EffectKind.REPLY, {"text": "Hi"}),
            (EffectKind.STATUS, {"status": "resolved"}),
        ):
            effect = Effect(
                uid="e", run_key="r", conversation_id=first.conversation, kind=kind, payload=payload
            )
            assert (await client.deliver(effect)).answer is Answer.OK
        return await client.conversation(first.conversation)

    worked = ask(desk.base_url, work)
    before = len(desk.requests())
    (again,) = fill(desk, *of_pack("cx-escalations")[:1], at=T0 + timedelta(hours=5))
    assert (again.state, again.conversation, again.began) == ("there already", first.conversation, T0)
    assert ask(desk.base_url, lambda c: c.conversation(first.conversation)) == worked
    assert {r["method"] for r in desk.requests()[before:]} == {"GET"}


@pytest.mark.parametrize("how", [{"action": "server_error"}, {"action": "accepted_no_answer", "close": True}])
def test_cut_off_at_any_request_the_next_run_finishes_and_doubles_nothing(
    desk: ChatwootSimulator, how: dict[str, Any]
) -> None:
    scenario = next(s for s in load_pack("practice-library").scenarios if s.world.conversation.priority)
    one = Case(pack="p", scenario=scenario.id, world=scenario.conversation)
    fill(desk, one)
    requests = len(desk.requests())
    assert requests > 8
    for nth in range(1, requests + 1):
        desk.state.reset()
        desk.set_faults([how | {"match": {"call": "any", "attempts": [nth]}}])
        with pytest.raises(RemoteError):
            fill(desk, one)
        (put,) = fill(desk, one, at=T0 + timedelta(minutes=1))
        found = ask(desk.base_url, lambda c, key=put.conversation: c.conversation(key))
        assert alike(found, scenario.conversation(put.began)) == {}, nth
        assert len(desk.state.conversations()) == 1 and len(desk.state.records("contact")) == 1, nth
        assert [i["name"] for i in desk.state.records("inbox")].count(INBOX) == 1


def test_taking_away_takes_exactly_what_was_put_there(desk: ChatwootSimulator) -> None:
    pack = of_pack("cx-escalations")
    fill(desk, *pack)
    mine, other = fill(desk, *pack, session="monday"), fill(desk, *of_pack("practice-library")[:2])
    desk.seed(shapes.to_seed(case("900", inbox=INBOX)))
    desk.seed(shapes.to_seed(case("901", customer_key="cairnops:cx-escalations::stray")))
    # Somebody opened another conversation with a made-up customer: it is theirs, and keeps its customer.
    kept = desk.state.conversation(1) or {}
    theirs = desk.state.add_conversation({**kept, "custom_attributes": {}, "inbox_id": 1})
    gone = ask(desk.base_url, lambda c: Sandbox(c).clear("cx-escalations"))
    assert set(gone.conversations) == {"1", "2", "3", "4"} and gone.contacts == 3
    left = {str(row["id"]) for row in desk.state.conversations()}
    assert left == {"900", "901", str(theirs["id"])} | {p.conversation for p in (*mine, *other)}
    assert desk.state.record("contact", theirs["contact_id"]) is not None
    assert ask(desk.base_url, lambda c: Sandbox(c).clear("cx-escalations")).conversations == ()


def test_taking_away_knows_more_customers_than_a_page_holds(desk: ChatwootSimulator) -> None:
    cases = [
        Case(pack="p", scenario=f"s{n}", world=lambda at, n=n: case(str(n), created_at=at, messages=()))
        for n in range(1, 34)
    ]
    fill(desk, *cases)
    gone = ask(desk.base_url, lambda c: Sandbox(c).clear("p"))
    assert (len(gone.conversations), gone.contacts) == (33, 33)
    assert desk.state.records("contact") == [] and desk.state.conversations() == []


def test_an_agent_seeds_where_the_inbox_is_and_removes_nothing(desk: ChatwootSimulator) -> None:
    furnish(desk, role="agent")
    one = of_pack("cx-escalations")[:1]
    with pytest.raises(RemoteError, match="not authorized to do this action") as refused:
        fill(desk, *one)
    assert "administrator" in refused.value.hint
    furnish(desk, inboxes=[{"name": INBOX}])
    assert [p.state for p in fill(desk, *one)] == ["made"]
    with pytest.raises(RemoteError, match="not authorized"):
        ask(desk.base_url, lambda c: Sandbox(c).clear("cx-escalations"))
    assert len(desk.state.conversations()) == 1


@pytest.mark.parametrize(
    "inbox",
    [
        pytest.param({"webhook_url": "https://hooks.example/x"}, id="calls-a-webhook"),
        pytest.param({"channel_type": "Channel::Email"}, id="mails"),
    ],
)
def test_an_inbox_of_our_name_that_reaches_people_is_refused(
    desk: ChatwootSimulator, inbox: dict[str, str]
) -> None:
    furnish(desk, inboxes=[{"name": INBOX} | inbox])
    with pytest.raises(RemoteError, match="answers would leave the account"):
        fill(desk, *of_pack("cx-escalations"))
    assert desk.state.conversations() == []


@pytest.mark.parametrize(
    ("server", "account", "sandbox"),
    [
        ("http://127.0.0.1:3000", "Acme", True),
        ("http://localhost:3000", "Acme", True),
        ("http://[::1]:3000", "Acme", True),
        ("https://chat.example.com", "Acme", False),
        ("https://chat.example.com", "Acme (Sandbox)", True),
        ("https://chat.example.com", "Acme sandboxes", False),
        ("https://localhost.example.com", "Acme", False),
        ("https://sandbox.example.com", "", False),
    ],
)
def test_what_marks_a_sandbox(server: str, account: str, sandbox: bool) -> None:
    async def said() -> str:
        async with ChatwootClient(server, 1, TOKEN, timeout_ms=500) as client:
            return Sandbox(client).why(account)

    assert bool(asyncio.run(said())) is sandbox


def test_a_live_account_is_filled_only_when_that_is_said(
    desk: ChatwootSimulator, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another name of this machine, which nothing knows for one.
    monkeypatch.setenv("CHATWOOT_BASE_URL", f"http://0.0.0.0:{desk.port}")
    monkeypatch.setenv("NO_PROXY", "0.0.0.0")
    refused = cli("chatwoot", "seed")
    assert (
        refused.code == 2
        and "not marked as a sandbox" in refused.err
        and "--into-live-account" in refused.err
    )
    assert {r["method"] for r in desk.requests()} == {"GET"}
    assert cli("chatwoot", "seed", "--into-live-account", "--json").code == 0
    assert cli("chatwoot", "unseed").out == "4 conversations and 4 contacts removed\n"
    furnish(desk, name="Acme sandbox")
    done = cli("chatwoot", "seed", "--session", "monday", "--json")
    assert done.code == 0 and {row["state"] for row in json.loads(done.out)} == {"made"}
    assert json.loads(cli("chatwoot", "unseed", "-s", "monday", "--json").out)["contacts"] == 4


@pytest.mark.parametrize("unset", ["CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN"])
def test_without_an_account_nothing_is_seeded(
    desk: ChatwootSimulator, cli: Any, monkeypatch: pytest.MonkeyPatch, unset: str
) -> None:
    monkeypatch.delenv(unset)
    for command in ("seed", "unseed"):
        done = cli("chatwoot", command)
        assert done.code == 2 and f"{unset} is not set" in done.err


def test_a_server_that_is_asked_too_often_is_waited_for_as_long_as_there_is_patience(
    desk: ChatwootSimulator,
) -> None:
    one = of_pack("cx-escalations")[:1]
    every_third = {"random": {"rate_percent": 30, "seed": 4, "actions": ["rate_limited"]}, "retry_after_s": 0}
    desk.set_faults([every_third])
    put = ask(desk.base_url, lambda c: Sandbox(c).fill(one, T0), patience_ms=5000)
    assert [p.state for p in put] == ["made"] and "rate_limited" in {r["fault"] for r in desk.requests()}
    desk.set_faults([every_third | {"retry_after_s": 60}])
    with pytest.raises(RemoteError, match="HTTP 429"):
        ask(desk.base_url, lambda c: Sandbox(c).clear("cx-escalations"), patience_ms=5000)


def test_what_was_cut_off_says_that_it_goes_on(desk: ChatwootSimulator, cli: Any) -> None:
    desk.set_faults([{"match": {"call": "create_message", "attempts": [2]}, "action": "server_error"}])
    done = cli("chatwoot", "seed")
    assert done.code == 2 and "the same command goes on from there" in " ".join(done.err.split())
    again = cli("chatwoot", "seed", "--json")
    assert [row["state"] for row in json.loads(again.out)] == ["finished", "made", "made", "made"]


# what is read


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        pytest.param(Reads(), {"1", "2", "3"}, id="open-and-pending"),
        pytest.param(Reads(statuses=(Status.SNOOZED, Status.RESOLVED)), {"4", "5"}, id="other-statuses"),
        pytest.param(Reads(labels=("VIP",)), {"2", "3"}, id="label"),
        pytest.param(Reads(inboxes=("mail",)), {"2"}, id="inbox-whatever-the-case"),
        pytest.param(Reads(inboxes=("Mail", "3")), {"2", "3"}, id="inboxes-by-name-and-number"),
        pytest.param(Reads(teams=("CX leads",)), {"3"}, id="team"),
        pytest.param(
            Reads(labels=("vip",), inboxes=("Mail",), statuses=(Status.OPEN,)), set(), id="all-must-hold"
        ),
    ],
)
def test_only_what_is_named_is_read(desk: ChatwootSimulator, reads: Reads, expected: set[str]) -> None:
    desk.seed(shapes.to_seed(case("1")))
    desk.seed(shapes.to_seed(case("2", status=Status.PENDING, tags=("vip",), inbox="Mail")))
    desk.seed(shapes.to_seed(case("3", tags=("Vip",), inbox="Shop", team="CX leads")))
    desk.seed(shapes.to_seed(case("4", status=Status.SNOOZED)))
    desk.seed(shapes.to_seed(case("5", status=Status.RESOLVED)))
    found = ask(desk.base_url, lambda c: c.escalated(), reads=reads)
    assert {c.id for c in found} == expected and len(found) == len(expected)


def test_a_name_nobody_has_is_an_error_and_not_an_empty_queue(desk: ChatwootSimulator) -> None:
    with pytest.raises(SettingError, match="no teams called Leeds") as lost:
        ask(desk.base_url, lambda c: c.escalated(), reads=Reads(teams=("Leeds",)))
    assert "CHATWOOT_TEAMS" in lost.value.hint


def test_the_settings_narrow_what_the_desk_reads(desk: ChatwootSimulator, tmp_path: Path) -> None:
    desk.seed(shapes.to_seed(case("1")))
    desk.seed(shapes.to_seed(case("2", inbox="Mail", tags=("vip",))))
    given = {"CHATWOOT_BASE_URL": desk.base_url, "CHATWOOT_API_TOKEN": TOKEN}
    given |= {"CHATWOOT_INBOXES": "Mail", "CHATWOOT_LABELS": "vip", "CHATWOOT_STATUSES": "open"}
    with Workspace.open(tmp_path / "w", Settings(given)) as w, w.help_desk() as remote:

        async def read() -> list[Conversation]:
            async with w.client(remote) as client:
                return await client.escalated()

        assert [c.id for c in asyncio.run(read())] == ["2"]


def test_what_a_colleague_resolves_leaves_the_queue_and_what_is_out_of_sight_stays_there(
    desk: ChatwootSimulator, tmp_path: Path
) -> None:
    from cairnops.app.room import Room

    for number in range(1, 26):
        desk.seed(shapes.to_seed(case(str(number), tags=("vip",))))
    desk.seed(shapes.to_seed(case("900")))
    given = {"CHATWOOT_BASE_URL": desk.base_url, "CHATWOOT_API_TOKEN": TOKEN, "CHATWOOT_LABELS": "vip"}
    room = Room(tmp_path / "w", Settings(given)).start()

    def statuses() -> dict[str, Status]:
        room.run(room.read())
        return {c.id: c.status for c in room.cases()}

    try:
        assert statuses() == {str(n): Status.OPEN for n in range(1, 26)}
        for number in range(1, 26):
            desk.state.change(number, {"status": "resolved"})
        desk.state.change(25, {"status": "open", "labels": []})
        desk.state.remove_conversation(24)
        once, twice = statuses(), statuses()
        resolved = [key for key, status in once.items() if status is Status.RESOLVED]
        assert len(resolved) >= 15
        assert {key for key, status in twice.items() if status is Status.OPEN} == {"24", "25"}
        assert "900" not in twice and room.source.problem == ""
    finally:
        room.stop()


def test_the_help_desks_own_sla_is_told_beside_ours(
    desk: ChatwootSimulator, cli: Any, tmp_path: Path
) -> None:
    applied = {"sla_id": 3, "sla_name": "Gold", "sla_status": "active_with_misses"}
    applied |= {"sla_first_response_time_threshold": 3600.0, "sla_next_response_time_threshold": None}
    desk.seed(shapes.to_seed(case("1")) | {"applied_sla": applied})
    desk.seed(shapes.to_seed(case("2")))
    read = ask(desk.base_url, lambda c: c.conversation("1"))
    assert read.extra == {
        "help_desk_sla_name": "Gold",
        "help_desk_sla_status": "active_with_misses",
        "help_desk_sla_first_response_time_threshold": "3600.0",
    }
    assert read.help_desk_sla == "Gold: active with misses"
    other = ask(desk.base_url, lambda c: c.conversation("2"))
    assert (other.extra, other.help_desk_sla) == ({}, "")
    with Workspace.open(tmp_path / "w", Settings({})) as w:
        for conversation in (read, other):
            w.desk().observe(conversation, Actor(email="alex@shop.example"))
    told = [cli("conversations", "show", key, "-w", tmp_path / "w", columns=120).out for key in ("1", "2")]
    assert "help desk SLA Gold: active with misses" in " ".join(told[0].split())
    assert "help desk SLA" not in told[1]


def test_a_time_that_is_not_the_help_desks_is_believed_of_our_cases_only() -> None:
    row = {"id": 1, "status": "open", "created_at": 1_760_000_000}
    message = {"id": 1, "message_type": 0, "content": "x", "created_at": 1_760_000_000}
    stranger = shapes.conversation(
        row | {"custom_attributes": {shapes.CREATED: "2020-01-01T00:00:00Z"}},
        [message | {"content_attributes": {shapes.WRITTEN: 5}}],
    )
    ours = shapes.conversation(
        row | {"custom_attributes": {shapes.CREATED: "2020-01-01T00:00:00Z", shapes.PACK: "p"}},
        [message | {"content_attributes": {shapes.WRITTEN: 5, shapes.PLACE: 1}}],
    )
    assert stranger.created_at == stranger.messages[0].at == datetime.fromtimestamp(1_760_000_000, UTC)
    assert (ours.created_at.year, ours.messages[0].at.timestamp()) == (2020, 5)


# whom a case is given to


def give(**payload: str) -> Effect:
    return Effect(uid="e", run_key="r", conversation_id="101", kind=EffectKind.ASSIGN, payload=payload)


@pytest.mark.parametrize(
    ("effect", "field"),
    [
        pytest.param(give(team="cx LEADS"), "team_id", id="team"),
        pytest.param(give(assignee="Morgan@shop.example"), "assignee_id", id="person"),
    ],
)
def test_a_case_is_given_by_name_and_found_there(desk: ChatwootSimulator, effect: Effect, field: str) -> None:
    furnish(desk, teams=["Others", "CX leads"], agents=[{"name": "Morgan", "email": "morgan@shop.example"}])
    desk.seed(shapes.to_seed(case("101")))

    async def given(client: ChatwootClient) -> tuple[Found, Result, Found]:
        return await client.find(effect), await client.deliver(effect), await client.find(effect)

    before, told, after = ask(desk.base_url, given)
    assert (before, told.answer, after) == (Found.ABSENT, Answer.OK, Found.PRESENT)
    assert (desk.state.conversation(101) or {})[field] == 2


@pytest.mark.parametrize("payload", [{"team": "Leeds"}, {"assignee": "nobody@shop.example"}])
def test_nobody_of_that_name_is_a_refusal_and_the_case_stays_whose_it_was(
    desk: ChatwootSimulator, payload: dict[str, str]
) -> None:
    desk.seed(shapes.to_seed(case("101", team="CX leads")))
    told = ask(desk.base_url, lambda c: c.deliver(give(**payload)))
    assert told == Result(answer=Answer.REJECT, error_code="ENOBODY")
    assert (desk.state.conversation(101) or {})["team_id"] == 1
    assert {r["method"] for r in desk.requests()} == {"GET"}


def test_a_team_made_again_under_its_name_is_found_by_a_client_that_knew_the_old_one(
    desk: ChatwootSimulator,
) -> None:
    furnish(desk, teams=["CX leads"])
    desk.seed(shapes.to_seed(case("101")))

    async def twice(client: ChatwootClient) -> list[Answer]:
        first = await client.deliver(give(team="CX leads"))
        desk.state.reset()
        desk.state.furnish("team", [{"name": "Others"}, {"name": "CX leads"}])
        desk.seed(shapes.to_seed(case("101")))
        return [first.answer, (await client.deliver(give(team="CX leads"))).answer]

    assert ask(desk.base_url, twice) == [Answer.OK, Answer.OK]
    assert (desk.state.conversation(101) or {})["team_id"] == 2


def test_an_escalation_gives_the_case_to_whom_the_policy_names(
    desk: ChatwootSimulator, tmp_path: Path
) -> None:
    furnish(desk, teams=["Managers"], agents=[{"name": "Riley", "email": "riley@shop.example"}])
    desk.seed(shapes.to_seed(case("101")))
    root = tmp_path / "w"
    given = {"CHATWOOT_BASE_URL": desk.base_url, "CHATWOOT_API_TOKEN": TOKEN}
    Workspace.open(root, Settings(given)).close()
    (root / "policy.yaml").write_text(
        "profile: dry-run\nescalation:\n  assign:\n"
        "    - {role: manager, team: managers, assignee: riley@shop.example}\n"
        "delivery:\n  timeout_ms: 5000\n"
    )
    with Workspace.open(root, Settings(given)) as w, w.help_desk() as remote:
        operator = Actor(email="alex@shop.example")

        async def escalate() -> None:
            async with w.client(remote) as client:
                there = w.desk()
                there.observe(await client.conversation("101"), operator)
                there.submit(
                    Request(
                        action=Action.ESCALATE, conversation="101", actor=operator, key="k1",
                        reason="unsure", note="Wants it by Friday.",
                    )
                )  # fmt: skip
                # An hour later: by then the case is looked at again before each effect.
                later = lambda: now() + timedelta(hours=1)  # noqa: E731
                await w.deliver(client, later, circuit=w.circuit(client, later))

        asyncio.run(escalate())
        ended = [(d["kind"], d["final"]["status"]) for d in w.ledger.deliveries()]
    assert ended == [(kind, "SUCCESS") for kind in ("labels", "note", "assign", "assign")]
    row = desk.state.conversation(101) or {}
    assert (row["team_id"], row["assignee_id"], row["labels"]) == (1, 2, ["escalation"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{role: analyst, team: A}", "who reads and does not act"),
        ("{role: lead, team: A}, {role: lead, team: B}", "names lead more than once"),
        ("{role: lead}", "names neither a team nor an assignee"),
        ("{role: lead, squad: A}", "squad"),
    ],
)
def test_an_assignment_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with Workspace.open(tmp_path / "w", Settings({})) as w:
        w.policy_file.write_text(f"escalation:\n  assign: [{text}]\n")
        with pytest.raises(CairnError, match=said):
            _ = w.policy


def test_an_assignment_reads_as_a_sentence(tmp_path: Path, cli: Any) -> None:
    (tmp_path / "policy.yaml").write_text(
        "escalation:\n  assign: [{role: lead, team: CX, assignee: a@b.example}]\n"
    )
    assert "a lead's to CX and a@b.example" in cli("policy", "show", "-w", tmp_path, columns=200).out


# the page


def test_what_the_page_says_is_what_happens(desk: ChatwootSimulator, cli: Any, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "cairnops" / "docs" / "chatwoot.md").read_text(
        encoding="utf-8"
    )
    typed = [
        line
        for block in re.findall(r"```sh\n(.*?)```", page, re.S)
        for line in block.splitlines()
        if line.startswith("cairnops ")
    ]
    assert len(typed) > 4
    for line in typed:
        assert cli(*shlex.split(line)[1:]).code == 0, line
    assert desk.state.conversations() == [] and desk.state.records("contact") == []
    (policy,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    with Workspace.open(tmp_path / "w", Settings({})) as w:
        w.policy_file.write_text(policy)
        assert {a.role for a in w.policy.escalation.assign} == {Role.MANAGER, Role.LEAD}
