"""`session seed` and `session debrief`: put cases before people, and say afterwards what there is to learn."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cairnops.cli import exits, render, wording
from cairnops.cli.common import ActorOption, JsonOption, WorkspaceOption, actor, narrate, opened
from cairnops.cli.session import NameArgument
from cairnops.errors import NOT_ENOUGH

if TYPE_CHECKING:
    from cairnops.domain.conversations import Actor
    from cairnops.domain.sessions import Session
    from cairnops.scenarios.practice import Debrief, Seeded
    from cairnops.workspace import Workspace


def seed(
    name: NameArgument,
    scenario: Annotated[str, typer.Argument(help="The scenario's id or letter.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="EMAIL[:ROLE]", help="Whose case it is; repeat the option. Default: yours."
        ),
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="Each operator of the session gets one of their own.")
    ] = False,
    shared: Annotated[bool, typer.Option("--shared", help="One case that everybody works on.")] = False,
    as_: ActorOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Seed a scenario into a live session: the case begins now, on a conversation of its own in the simulator.

    Seeding again changes nothing. Seeding to others takes a lead, a manager or an admin.

    Example: cairnops session seed monday A --to alex@shop.example --as morgan@shop.example:lead
    """
    import asyncio

    from cairnops import codec
    from cairnops.connectors.chatwoot.admin import SimulatorAdmin
    from cairnops.errors import InputError, NotFound
    from cairnops.scenarios import practice
    from cairnops.scenarios.sessions import pack_of
    from cairnops.workspace import now

    if sum((bool(to), everybody, shared)) > 1:
        raise InputError("Say one of --to, --everybody and --shared.", hint="Without any, the case is yours.")
    with opened(workspace) as w:
        who, held = actor(as_, w.settings), w.sessions.get(name)
        pack = pack_of(w, held)
        found = pack.scenario(scenario)
        if found is None:
            raise NotFound(
                f"{pack.id} has no scenario {scenario}.",
                hint=f"It has: {', '.join(s.id for s in pack.scenarios)}.",
            )
        operators = [] if shared else _operators(held, to or [], who, everybody=everybody)
        with w.help_desk() as remote:

            async def put() -> "list[Seeded]":
                async with (
                    SimulatorAdmin(remote.base_url, remote.token) as admin,
                    w.client(remote) as client,
                ):
                    await admin.check()
                    return await practice.seed(
                        w, client, admin, held, found, operators=operators, at=now(), actor=who
                    )

            rows = [codec.record(seeded) for seeded in asyncio.run(put())]

    render.emit(
        rows,
        as_json,
        lambda: render.table(
            ("Scenario", "Operator", "Conversation", "Begins (UTC)"),
            [
                (r["title"], r["operator"] or "everybody", r["conversation"], wording.moment(r["at"]))
                for r in rows
            ],
            wrap=("Scenario", "Operator"),
        ),
    )


def _operators(held: "Session", to: list[str], who: "Actor", *, everybody: bool) -> "list[Actor]":
    from cairnops.domain.conversations import Role
    from cairnops.errors import NotFound
    from cairnops.store.sessions import participant

    if everybody:
        there = [p for p in held.participants if p.role is Role.OPERATOR]
        if not there:
            raise NotFound(f"Session {held.name} has no operators.", hint="Name them: --to EMAIL.")
        return there
    roles = {p.email: p for p in held.participants}
    named = [participant(text) for text in to]
    # Whoever takes part already does so in the role they have.
    return [roles.get(p.email, p) if ":" not in text else p for p, text in zip(named, to, strict=True)] or [
        who
    ]


def debrief(
    name: NameArgument,
    operator: Annotated[
        str, typer.Option("--operator", metavar="EMAIL", help="Only this operator.", show_default=False)
    ] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Debrief a session: expected against done for each case, what was missed, and the rules behind it.

    In a live session every case is judged as it stands now, and the result is kept. Exit code 1 when a case
    was not passed, 3 when there is none to talk about.

    Example: cairnops session debrief cx-escalations
    """
    from cairnops import codec

    with opened(workspace) as w:
        found = _debriefs(w, name, operator.strip().lower())
    data = [codec.record(each) | {"missed": [codec.record(p) for p in each.missed]} for each in found]
    render.emit(data, as_json, lambda: _tell(found))
    if not found:
        narrate(f"nothing of {name} was worked yet")
        exits.leave(NOT_ENOUGH)
    exits.findings([each for each in found if not each.score.passed])


def _debriefs(workspace: "Workspace", name: str, operator: str) -> "list[Debrief]":
    import asyncio

    from cairnops.errors import CairnError
    from cairnops.scenarios import practice
    from cairnops.workspace import now

    held = workspace.sessions.get(name)
    pairs = [
        (seeded, who)
        for seeded in practice.seeded(workspace, name)
        for who in practice.operators_of(workspace, name, seeded)
        if operator in ("", who.email)
    ]
    if held.live and workspace.sessions.state(name) == "open" and pairs:
        with workspace.help_desk() as remote:

            async def judge() -> None:
                async with workspace.client(remote) as client:
                    for seeded, who in pairs:
                        try:
                            await practice.finish(workspace, client, held, seeded, who, at=now())
                        except CairnError as error:
                            narrate(f"{who.email}, {seeded.title}: not judged. {error}")

            asyncio.run(judge())
    out = [practice.debrief(workspace, name, seeded, who) for seeded, who in pairs]
    return [each for each in out if each is not None]


def _tell(found: "list[Debrief]") -> None:
    render.table(
        ("Scenario", "Operator", "Result", "Points", "Answer"),
        [
            (
                each.seeded.title,
                each.operator,
                ("ok", "passed") if each.score.passed else ("bad", "not passed"),
                "–" if each.score.points is None else each.score.points,
                f"{each.score.verb or 'none'}{f' (best: {each.best})' if each.best else ''}",
            )
            for each in found
        ],
        wrap=("Scenario", "Operator"),
    )
    for each in found:
        render.say()
        render.say(f"{each.seeded.title} · {each.operator}")
        render.lines(
            [
                *(("missed", f"{p.code}: expected {p.expected}; found {p.found}") for p in each.missed),
                *(
                    ("refused" if m.refused else "met", f"{m.code} ({m.severity}): {m.sentence}")
                    for m in each.met
                ),
                *([("why", each.why)] if each.why else []),
                *(("good looks like", line) for line in each.good_looks_like),
                *(("rule", _rule(note)) for note in each.rules),
            ],
            indent="  ",
        )


def _rule(note: Any) -> str:
    behind = "; ".join(part for part in (note.source, note.threshold) if part)
    return f"{note.code}: {note.title} ({behind})"
