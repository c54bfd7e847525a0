"""Whether a Chatwoot account is set up for the desk: what its token may do there, and what is missing, in words."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx

from cairnops.connectors.chatwoot import answers, shapes
from cairnops.connectors.chatwoot.client import ChatwootClient
from cairnops.connectors.chatwoot.sandbox import Sandbox
from cairnops.connectors.checks import Line, blocked, unseen
from cairnops.domain.policy import Policy
from cairnops.errors import CairnError, RemoteError

SERVER, TOKEN, ACCOUNT = "help desk", "help desk token", "help desk account"
INBOXES, READING, WRITING = "help desk inboxes", "help desk reading", "help desk writing"
LABELS, TEAMS, SLA, SANDBOX = "help desk labels", "help desk assignment", "help desk SLA", "help desk sandbox"

#: Of these permissions a role of the account's own making needs one to answer.
_ANSWERS = ("conversation_manage", "conversation_unassigned_manage", "conversation_participating_manage")

_NAMED = 8


async def check(client: ChatwootClient, policy: Policy) -> tuple[list[Line], str]:
    """Every line, and the Date of the server's answer (empty when it gave none). Nothing is written."""
    lines: list[Line] = []
    date = ""
    after = (TOKEN, ACCOUNT, INBOXES, READING, WRITING, LABELS, TEAMS, SLA, SANDBOX)
    try:
        answer = await client.look("/api")
        date = answer.headers.get("date", "")
        lines.append(_server(client, answer))
    except CairnError as error:
        return [blocked(SERVER, error), *(unseen(what, "the server was not reached") for what in after)], date
    try:
        profile = await client.profile()
    except CairnError as error:
        lines.append(blocked(TOKEN, error))
        return [*lines, *(unseen(what, "the token is not taken") for what in after[1:])], date
    known = f"{profile.get('name') or profile['email']} <{profile['email']}>"
    account = next((a for a in profile["accounts"] if a["id"] == client.account_id), None)
    lines.append(Line(what=TOKEN, state="ready", detail=f"belongs to {known}"))
    if account is None or account.get("status", "active") != "active":
        lines.append(_no_account(client, profile["accounts"], account))
        return [*lines, *(unseen(what, "the account cannot be used") for what in after[2:])], date
    name, role = str(account.get("name") or ""), str(account.get("role") or "")
    lines.append(Line(what=ACCOUNT, state="ready", detail=f"{client.account_id}, {name}; {role} there"))
    lines += [
        await _line(INBOXES, lambda: _inboxes(client)),
        await _line(READING, lambda: _reading(client)),
        _writing(account, role),
        await _line(LABELS, lambda: _labels(client, policy.labels.escalation)),
        await _line(TEAMS, lambda: _assignment(client, policy)),
        await _line(SLA, lambda: _sla(client)),
        _sandbox(client, name, role),
    ]
    return lines, date


async def _line(what: str, look: Callable[[], Awaitable[Line]]) -> Line:
    try:
        return await look()
    except CairnError as error:
        return blocked(what, error)


def _server(client: ChatwootClient, answer: httpx.Response) -> Line:
    try:
        body = answers.parsed(answer) if answer.is_success else None
    except RemoteError:
        body = None
    version = body.get("version") if shapes.is_record(body) else None
    # Some stand behind a gateway that lets only /api/v1 through; whether it is Chatwoot the token's line tells.
    said = f"Chatwoot {version}" if isinstance(version, str) else "it does not say which Chatwoot it is"
    local = httpx.URL(client.base_url).host in ("127.0.0.1", "::1", "localhost")
    bare = client.base_url.startswith("http:") and not local
    return Line(
        what=SERVER,
        state="ready",
        detail=f"{client.base_url} answers; {said}",
        fix="Use https: the token travels where others can read it." if bare else "",
    )


def _no_account(
    client: ChatwootClient, accounts: Sequence[dict[str, Any]], account: dict[str, Any] | None
) -> Line:
    if account is not None:
        said = f"{client.account_id} is {account['status']}"
        return Line(what=ACCOUNT, state="blocked", detail=said, fix="Ask whoever runs the server.")
    theirs = ", ".join(f"{a['id']} ({a.get('name') or 'no name'})" for a in accounts) or "none"
    return Line(
        what=ACCOUNT,
        state="blocked",
        detail=f"the token's owner is not in account {client.account_id}, but in: {theirs}",
        fix="Set CHATWOOT_ACCOUNT_ID to one of them." if accounts else "Have them invited to the account.",
    )


async def _inboxes(client: ChatwootClient) -> Line:
    rows = await client.rows("/inboxes")
    if not rows:
        return Line(
            what=INBOXES,
            state="blocked",
            detail="the token's owner is in no inbox, and so sees no conversation",
            fix="Settings, Inboxes, the inbox, Collaborators: add them.",
        )
    names = [f"{row.get('name') or row.get('id')} ({_channel(row)})" for row in rows]
    return Line(what=INBOXES, state="ready", detail=_some(names))


def _channel(row: dict[str, Any]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(row.get("channel_type") or "").removeprefix("Channel::"))


async def _reading(client: ChatwootClient) -> Line:
    """A page of what the desk would read, and the newest of it whole."""
    rows = await client.sample()
    if not rows:
        narrowed = any((client.reads.labels, client.reads.inboxes, client.reads.teams))
        return Line(
            what=READING,
            state="ready",
            detail="no conversation is waiting"
            + (", as far as the settings let it look" if narrowed else ""),
            fix="CHATWOOT_LABELS, CHATWOOT_INBOXES and CHATWOOT_TEAMS narrow what is read."
            if narrowed
            else "",
        )
    read = await client.conversation(str(rows[0]["id"]))
    many = "25 conversations or more wait" if len(rows) >= 25 else f"waiting: {len(rows)}"
    return Line(
        what=READING,
        state="ready",
        detail=f"{many}; of {read.id}, messages read: {len(read.messages)}, labels: {len(read.tags)}",
    )


def _writing(account: dict[str, Any], role: str) -> Line:
    given = account.get("permissions")
    own = [str(p) for p in given] if isinstance(given, list) and account.get("custom_role_id") else []
    if own and not any(p in _ANSWERS for p in own):
        return Line(
            what=WRITING,
            state="blocked",
            detail=f"the role has only: {_some(own)}",
            fix=f"Give the role one of {', '.join(_ANSWERS)}.",
        )
    may = "reply, note, labels, status and assignment, in the inboxes above"
    more = "; make inboxes, remove what was seeded" if role == "administrator" else ""
    return Line(what=WRITING, state="ready", detail=f"may {may}{more}. Nothing was written to find out.")


async def _labels(client: ChatwootClient, escalation: str) -> Line:
    titles = [str(row.get("title") or "") for row in await client.rows("/labels")]
    if escalation.casefold() not in {title.casefold() for title in titles}:
        return Line(
            what=LABELS,
            state="blocked",
            detail=f"there is no label “{escalation}”, so nobody would see it. There are: {_some(titles)}",
            fix="Settings, Labels: add it, or name another in the policy's labels.escalation.",
        )
    return Line(what=LABELS, state="ready", detail=f"{escalation} is there, among {len(titles)}")


async def _assignment(client: ChatwootClient, policy: Policy) -> Line:
    teams = [str(row.get("name") or "") for row in await client.rows("/teams")]
    agents = [str(row.get("email") or "") for row in await client.rows("/agents")]
    wanted = policy.escalation.assign
    there = {name.casefold() for name in (*teams, *agents)}
    lost = [
        name for a in wanted for name in (a.team, a.assignee) if name and name.strip().casefold() not in there
    ]
    if lost:
        return Line(
            what=TEAMS,
            state="blocked",
            detail=f"the policy gives cases to {_some(lost)}, unknown here. Teams: {_some(teams)}",
            fix="Correct escalation.assign in policy.yaml, or add them in Chatwoot.",
        )
    said = "; ".join(f"{a.role.value}: {' and '.join(n for n in (a.team, a.assignee) if n)}" for a in wanted)
    return Line(
        what=TEAMS,
        state="ready",
        detail=said or "an escalated case is given to nobody (escalation.assign is empty)",
    )


async def _sla(client: ChatwootClient) -> Line:
    answer = await client.look("")
    body = answers.parsed(answer) if answer.is_success else None
    features = body.get("features") if shapes.is_record(body) else None
    # Published as a list of names, sent as names with true.
    on = features.get("sla") if shapes.is_record(features) else "sla" in (features or ())
    if not on:
        said = "the account has no SLA feature; the desk's own clocks need none"
        return Line(what=SLA, state="ready", detail=said)
    names = [str(row.get("name") or "") for row in await client.rows("/sla_policies")]
    return Line(
        what=SLA, state="ready", detail=f"on; policies: {_some(names)}; shown beside the desk's own clocks"
    )


def _sandbox(client: ChatwootClient, name: str, role: str) -> Line:
    why = Sandbox(client).why(name)
    if not why:
        said = "not one: packs are seeded here only with --into-live-account"
        return Line(what=SANDBOX, state="ready", detail=said)
    who = (
        "" if role == "administrator" else "; to make the inbox and to remove takes an administrator's token"
    )
    return Line(what=SANDBOX, state="ready", detail=f"packs may be seeded: {why}{who}")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED]) or "none"
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
