"""Which rows stand under a report's figures, and by which words a figure finds those it counts."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cairnops import codec
from cairnops.analytics import practice
from cairnops.analytics.javascript import plain
from cairnops.domain.requests import DECISION_NAMES, Action
from cairnops.evidence import inert
from cairnops.evidence.charts import token
from cairnops.telemetry.preview import preview

if TYPE_CHECKING:
    from cairnops.evidence.report import Figures

#: Rows of one kind a page holds; what is beyond is counted and said.
ROWS = 5000

# -- words


def e(text: object) -> str:
    """Text as HTML shows it, whatever is in it."""
    return html.escape(inert.visible(text, keep="\n"))


def span(seconds: float | None) -> str:
    """The two units that matter, without an empty one: `2 d 4 h`, `1 h 5 min`, `29 min`, `240 ms`."""
    if seconds is None:
        return "–"
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    size, unit, small, part = next(
        u for u in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")) if whole >= u[0]
    )
    rest = whole % size // small
    return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")


def percent(rate: float | None) -> str:
    """One decimal at most: `92.6%`; a dash where there is no rate."""
    return "–" if rate is None else f"{rate * 100:.1f}".removesuffix(".0") + "%"


def minute(stamp: str | None) -> str:
    return stamp[:16].replace("T", " ") if stamp else ""


def bare(conversation: str) -> str:
    return conversation.removeprefix("chatwoot:")


VERDICTS = {"ok": "Fine", "warn": "Warning", "alert": "Alert", "insufficient-data": "Not enough data",
             "unreadable": "Not readable"}  # fmt: skip
#: What stands where nothing was found; a session without an escalation has no latency to be within anything.
FINE = {"Escalation latency": "no escalation waits past its target"}
STAGE_NAMES = {
    "breachToDecision": "Breach → decision",
    "decisionToDelivered": "Decision → delivered",
    "escalateToAcknowledged": "Escalated → acknowledged",
    "escalateToUpdated": "Escalated → customer updated",
    "handling": "Opened → decided",
    "pickup": "Picked up → acted on",
}
CLOCK_WORDS = {
    "conversation_created": "since the conversation began",
    "last_customer_message": "since the customer’s last message",
    "first_unanswered_customer_message": "since the first message nobody answered",
}


# -- tables


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: HTML that is safe already, what it sorts by, and how it is set (`n` a number, `t` a time)."""

    html: str
    sort: str | None = None
    kind: str = ""


def text(value: object) -> Cell:
    return Cell(e(value))


def number_cell(value: float | None) -> Cell:
    return Cell("–" if value is None else f"{value:,}", "" if value is None else str(value), "n")


def length(seconds: float | None) -> Cell:
    return Cell(span(seconds), "" if seconds is None else str(seconds), "n")


def moment_cell(stamp: str | None) -> Cell:
    return Cell(e(minute(stamp)), stamp or "", "t")


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Sequence[int] = ()) -> str:
    head = "".join(
        f'<th scope="col"{" class=n" if place in right else ""}>{e(name)}</th>'
        for place, name in enumerate(heads)
    )
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[Cell]) -> str:
    return "".join(f"<td{_attributes(c)}>{c.html}</td>" for c in row)


def _attributes(cell: Cell) -> str:
    kind = f" class={cell.kind}" if cell.kind else ""
    return kind if cell.sort is None else f'{kind} data-v="{e(cell.sort)}"'


@dataclass(slots=True)
class Rows:
    """One kind of rows at the end of the page, each with the tokens by which a figure finds it."""

    name: str
    title: str
    note: str
    heads: Sequence[str]
    right: Sequence[int]
    rows: list[tuple[Sequence[Cell], dict[str, object], str]] = field(default_factory=list)

    def add(self, cells: Sequence[Cell], anchor: str = "", **tokens: object) -> None:
        self.rows.append((cells, tokens, anchor))

    def html(self, filters: Iterable[str]) -> str:
        head = "".join(
            f'<th scope="col"{" class=n" if place in self.right else ""}>{e(name)}</th>'
            for place, name in enumerate(self.heads)
        )
        body = "".join(
            f'<tr{anchor and f" id={anchor}"} data-t="{_tokens(tokens)}">{_cells(cells)}</tr>'
            for cells, tokens, anchor in self.rows[:ROWS]
        )
        more = len(self.rows) - ROWS
        cut = f" The first {ROWS:,} of {len(self.rows):,}." if more > 0 else ""
        # Without the script a figure's link still leads to its table: every address it may have is here.
        at = "".join(f'<i class="at" id="{html.escape(name)}"></i>' for name in sorted(filters))
        return (
            f'<section id="{self.name}" data-rows="{self.name}">{at}<h3>{e(self.title)}</h3>'
            f'<p class="note">{e(self.note)}{cut}</p>'
            '<div class="filter" hidden><span></span><button type="button">Show all rows</button></div>'
            f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div></section>"
        )


def _tokens(tokens: Mapping[str, object]) -> str:
    """A list of values is as many tokens of one name."""
    pairs = (
        (name, one)
        for name, value in tokens.items()
        for one in (value if isinstance(value, list) else [value])
    )
    return html.escape(" ".join(f"{name}={word(value)}" for name, value in pairs))


def word(value: object) -> str:
    """What a row is found by, as it stands in an anchor."""
    return ("yes" if value else "no") if isinstance(value, bool) else token(str(value))


class Links:
    """The anchors of a page's rows that its figures lead to."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def link(self, href: str, words: str, number: int | None = None) -> str:
        """A link in HTML; `number` is how many rows its anchor selects, where the figure is that count."""
        self.used.add(href[1:])
        counted = "" if number is None else f' data-n="{number}"'
        return f'<a href="{html.escape(href)}"{counted}>{e(words)}</a>'

    def count(self, href: str, number: int, words: str = "") -> Cell:
        """A count in a table, leading to the rows it counts."""
        shown = self.link(href, words or f"{number:,}", number) if number else e(words or "0")
        return Cell(shown, str(number), "n")


def conversations(f: "Figures", links: Links) -> Rows:
    out = Rows("conversations", "Conversations", "One row each, as it stood at the moment of the report.",
                ("Case", "Customer", "Operator", "Status", "Began", "First response", "took", "Resolution", "took",
                 "Breached", "Decisions"), (6, 8))  # fmt: skip
    for r in f.sla["rows"]:
        case = e(bare(r["conversation"]))
        if r["link"].startswith(("https://", "http://")):
            case = f'<a href="{html.escape(r["link"])}" rel="noreferrer">{case}</a>'
        answered = r["firstResponse"] in ("met", "missed")
        out.add(
            [
                Cell(case, bare(r["conversation"])),
                text(r["customer"]),
                text(r["operator"]),
                text(r["status"]),
                moment_cell(r["createdAt"]),
                _outcome(r["firstResponse"]),
                length(None if r["firstResponseMinutes"] is None else r["firstResponseMinutes"] * 60),
                _outcome(r["resolution"]),
                length(r["resolutionMinutes"] * 60),
                moment_cell(r["breachedAt"]),
                Cell(", ".join(links.link(f"#decisions?id={n}", f"#{n}") for n in r["decisionIds"]),
                     str(r["decisions"])),
            ],
            id=r["conversation"],
            breached=r["breached"],
            open=r["status"] in ("open", "pending"),
            operator=r["operator"],
            firstResponse=r["firstResponse"] or "none",
            resolution=r["resolution"],
            asked=r["firstResponse"] is not None,
            unreplied=r["firstResponse"] is not None and not answered and r["status"] != "resolved",
            next=r["nextResponses"] > 0,
            day=r["createdAt"][:10],
            conversation_created=r["createdClockBreached"],
            last_customer_message=r["lastCustomerClockBreached"],
            first_unanswered_customer_message=r["unansweredClockBreached"],
        )  # fmt: skip
    return out


def spans(f: "Figures", links: Links) -> Rows:
    targets = {s["stage"]: s["targetS"] for s in f.latency["stages"]}
    out = Rows("spans", "Spans", "One row a case and stage; what still lasts has no end.",
                ("Stage", "Case", "Decision", "Whose", "From", "To", "Took"), (6,))  # fmt: skip
    for number, r in enumerate(f.latency["rows"], 1):
        target = targets[r["stage"]]
        late = target is not None and r["seconds"] > target
        out.add(
            [
                text(STAGE_NAMES[r["stage"]]),
                Cell(links.link(f"#conversations?id={token(r['conversation'])}", bare(r["conversation"]))),
                Cell(
                    links.link(f"#decisions?id={r['decisionId']}", f"#{r['decisionId']}")
                    if r["decisionId"]
                    else ""
                ),
                text(r["actor"]),
                moment_cell(r["startedAt"]),
                moment_cell(r["endedAt"]),
                Cell(
                    f"<span class={'bad' if late else 'plain'}>{span(r['seconds'])}</span>",
                    str(r["seconds"]),
                    "n",
                ),
            ],
            f"span-{number}",
            stage=r["stage"],
            ended=r["endedAt"] is not None,
            late=late,
        )
    return out


def decisions(f: "Figures", links: Links) -> Rows:
    out = Rows("decisions", "Decisions", "What people decided, oldest first.",
                ("Decision", "At", "By", "Session", "Case", "Action", "Edited",
                     "Characters changed", "Rule overridden"),
                (7,))  # fmt: skip
    made = f.material.decided
    escalated = {d.conversation for d in made if d.action == DECISION_NAMES[Action.ESCALATE]}
    seen: set[str] = set()
    for d in made:
        replied = d.action == DECISION_NAMES[Action.APPROVE_SEND] and d.suggestion is not None
        edited = replied and d.edited
        out.add(
            [
                Cell(f"#{d.decision_id}", str(d.decision_id)),
                moment_cell(codec.stamp(d.created_at)),
                text(d.actor.email),
                text(d.session),
                _case(d.conversation, links),
                text(d.action),
                text("yes" if edited else "no" if replied else ""),
                number_cell(d.edit_distance) if edited else Cell("", "", "n"),
                text(d.override),
            ],
            id=d.decision_id,
            operator=d.actor.email,
            edited=edited,
            overridden=bool(d.override),
            first=d.conversation not in seen,
            escalated=d.conversation in escalated,
        )
        seen.add(d.conversation)
    return out


def acts(f: "Figures", links: Links) -> Rows:
    out = Rows("acts", "Openings and other acts", "What people did on the way to a decision.",
                ("At", "By", "Session", "Case", "Act", "Rule", "Suggested by"), ())  # fmt: skip
    acts = [(a, c.conversation.ref) for c in f.material.cases for a in c.acts]
    for a, ref in sorted(acts, key=lambda x: (x[0].at, x[1], x[0].kind)):
        out.add(
            [
                moment_cell(codec.stamp(a.at)),
                text(a.actor),
                text(a.session),
                _case(ref, links),
                text(a.kind + (f": {a.action}" if a.action else "")),
                text(a.code),
                text(a.source),
            ],
            opening=(a.source or "none") if a.opens else "not",
            operator=a.actor,
        )
    return out


def runs(f: "Figures", links: Links) -> Rows:
    out = Rows("runs", "Scenario runs", "One row a scenario and operator.",
                ("At", "Scenario", "Operator", "Session", "Case", "Did", "Answer", "Points",
                     "As expected", "Guardrails raised"), (7,))  # fmt: skip
    ran = [(r, c) for c in f.material.cases for r in c.runs]
    judged = [c["code"] for c in f.practice["confusion"] if c["fired"]]
    for r, case in sorted(ran, key=lambda x: (x[0].at, x[0].session, x[0].scenario, x[0].operator)):
        spoke = practice.raised(case, r)
        out.add(
            [
                moment_cell(codec.stamp(r.at)),
                text(r.scenario),
                text(r.operator),
                text(r.session),
                _case(case.conversation.ref, links),
                text(r.verb),
                text(r.answer),
                number_cell(r.points),
                text("yes" if r.passed else "no"),
                text(", ".join(sorted(spoke))),
            ],
            answer=r.answer or "none",
            operator=r.operator,
            raised=sorted(spoke),
            silent=[code for code in judged if code not in spoke],
        )
    return out


def deliveries(f: "Figures", links: Links) -> Rows:
    out = Rows("deliveries", "Deliveries", "One row a sync event.",
                ("At", "Decision", "Effect", "Uid", "Status", "Delivered", "Error", "Took, ms", "Retries"),
                (7, 8))  # fmt: skip
    for d in f.material.deliveries:
        out.add(
            [
                moment_cell(codec.stamp(d.at) if d.at else None),
                Cell(
                    links.link(f"#decisions?id={token(d.decision_id)}", f"#{d.decision_id}")
                    if d.decision_id
                    else ""
                ),
                text(d.kind),
                text(d.effect),
                text(d.status),
                text("yes" if d.delivered else "no"),
                text(d.cause),
                number_cell(d.duration_ms),
                number_cell(None if d.retries is None else plain(d.retries)),
            ],
            **{"class": d.counted, "hour": codec.stamp(d.at)[:13] if d.at else ""},
            status=preview(d.status),
            cause=d.cause,
            timed=d.duration_ms is not None,
        )
    return out


def _case(ref: str, links: Links) -> Cell:
    return Cell(links.link(f"#conversations?id={token(ref)}", bare(ref)), bare(ref))


def _outcome(word: str | None) -> Cell:
    colour = {"met": "good", "missed": "late", "overdue": "bad"}.get(word or "", "muted")
    return Cell(f"<span class={colour}>{e(word or '–')}</span>", word or "")


#: Every kind of rows, in the order they stand on the page.
TABLES = (conversations, spans, decisions, acts, runs, deliveries)
