"""What customers and colleagues wrote, on every page: it reads as text, sets off nothing, passes for nothing else."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from cairnops.app import launch
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Order, Status
from cairnops.scenarios.loader import load_pack
from cairnops.scenarios.model import Pack
from cairnops.workspace import now
from tests.acceptance.desk.conftest import MORGAN, Visit, chosen, settled, start, toasted
from tests.app.hostile import AWAY, TEXTS
from tests.app.server import Desk, serving

#: All of them in one text, each a paragraph of its own, for what shows texts of any length.
ALL = "\n\n".join(TEXTS.values())
#: As a person could type it: a text with a NUL is refused by name.
TYPED = ALL.replace("\0", "")

#: As an address: what a link or an image needs no colon for.
ALEX = Actor(email=f"![alex](//{AWAY.removeprefix('http://')}/e.png)**a**@practice.example")

#: Names whose case is worked to the end, so that toasts and receipts are made of them.
WORKED = ("markdown-image", "markdown-link", "badge", "image-tag", "latex", "bidi")


def pack() -> Pack:
    """The escalations with every free text of the pack and of one scenario replaced."""
    given = load_pack("cx-escalations").model_dump(mode="json", by_alias=True, exclude_none=True)
    given |= {"title": TEXTS["markdown-image"], "summary": ALL}
    given["roles"] = dict.fromkeys(given["roles"], TEXTS["markdown-link"])
    for part, text in zip(given["agenda"], TEXTS.values(), strict=False):
        part["title"] = text
    for task, text in zip(given["checklist"], TEXTS.values(), strict=False):
        task["text"] = text
    for gate, text in zip(given["gates"], TEXTS.values(), strict=False):
        gate["title"] = text
    scenario = given["scenarios"][0]
    scenario["title"] = TEXTS["badge"]
    world = scenario["world"]
    world["customer"]["name"] = TEXTS["badge"]
    world["conversation"]["tags"] = list(TEXTS.values())
    world["messages"] = [{"from": who, "at": "-90m", "text": ALL} for who in ("customer", "note", "system")]
    world["order"] |= {"number": TEXTS["markdown-image"], "cues": one_line(TEXTS.values())}
    world["suggestion"] |= {"text": ALL, "sources": list(TEXTS.values())}
    scenario["script"] = [
        {"at": f"+{place}m", "say" if place % 2 else "customer": text if place % 2 else {"text": text}}
        for place, text in enumerate(TEXTS.values(), 1)
    ]
    scenario["answer"] |= {"why": ALL}
    scenario["debrief"]["good_looks_like"] = list(TEXTS.values())
    del given["scenarios"][1:]
    for part in given["agenda"]:
        part.pop("scenarios", None)
    return Pack.model_validate(given)


def one_line(texts: Any) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def case(number: int, text: str) -> Conversation:
    """A case of which everything a customer or a colleague can write is `text`."""
    begun = now().replace(microsecond=0) - timedelta(hours=5)
    said = [(Author.AGENT, False), (Author.CUSTOMER, False), (Author.AGENT, True), (Author.SYSTEM, False)]
    return Conversation(
        id=str(number),
        customer=text,
        customer_key=f"c{number}@x.example",
        status=Status.OPEN,
        created_at=begun,
        messages=tuple(
            Message(
                id=f"{number}{n}", author=who, private=private, text=text, at=begun + timedelta(minutes=n)
            )
            for n, (who, private) in enumerate(said)
        ),
        tags=(text, "escalation"),
        order=Order(number=" ".join(text.split()), total_minor=32500, cues=tuple(one_line([text]))),
        inbox=text,
        team=text,
    )


NUMBERS = {name: 5001 + place for place, name in enumerate(TEXTS)}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    workspace = tmp_path_factory.mktemp("hostile") / "desk"
    others = [case(NUMBERS[name], text) for name, text in TEXTS.items()]
    start(workspace, ALEX, letters="A", pack=pack(), others=others)
    with serving(workspace) as running:
        yield running


_FOUND = """() => {
    const out = [], told = (why, n) => out.push(`${why}: ${n.outerHTML.slice(0, 200)}`);
    const away = /203\\.0\\.113\\.7|example\\.invalid|javascript:|data:text/i;
    const loads = ["src", "href", "xlink:href", "srcset", "style", "action", "formaction", "poster", "background"];
    for (const n of document.querySelectorAll("*")) {
        if (loads.some((name) => away.test(n.getAttribute(name) ?? ""))) told("points away", n);
        if (n.getAttributeNames().some((name) => name.startsWith("on"))) told("has a handler", n);
        if (n.matches("script, style") && away.test(n.textContent)) told("is more than text", n);
    }
    document.querySelectorAll("iframe, object, embed, video, audio, .katex").forEach((n) => told("stands there", n));
    for (const n of document.querySelectorAll("a[href]")) {
        if (new URL(n.href).origin !== location.origin) told("leads away", n);
    }
    const words = new Set([
        "bold", "a", "under", "gone", "code", "mark", "Approved", "Blocked", "by the lead", "item", "click", "check",
        "Reset your password",
    ]);
    const marks = `strong, em, del, code, mark, li, a, h1, h2, h3, h4, [class*=Badge], [class*=ColoredText],
        [data-testid=stIconMaterial]`;
    for (const n of document.querySelectorAll(marks)) if (words.has(n.textContent.trim())) told("reads as markup", n);
    if (window.hacked !== undefined) out.push("a script ran");
    return out;
}"""


def harmless(page: Page) -> None:
    """Nothing on the page came out of a text but text."""
    settled(page)
    assert page.evaluate(_FOUND) == []


def letters(text: str) -> str:
    """What can be seen of a text: no blanks, no characters without a shape."""
    return "".join(c for c in text if unicodedata.category(c)[0] not in "CZ")


def said(place: Locator, text: str) -> None:
    """`text` stands there, as it was written; a line may cut it."""
    shown = letters("\n".join(place.evaluate_all("all => all.map((n) => n.value ?? n.textContent)")))
    assert letters(text)[:100] in shown


def test_every_answer_has_the_policy_and_names_this_server_only(desk: Desk) -> None:
    for path in ("/", "/desk", "/_stcore/health", "/api/health", "/static/js/none.js", "/nothing/there"):
        answer = httpx.get(desk.base + path, trust_env=False)
        policy = answer.headers["content-security-policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["default-src"] == "'self'"
        assert directives["object-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
        host = desk.base.removeprefix("http://")
        assert directives["connect-src"].split() == ["'self'", f"ws://{host}", f"wss://{host}"]
        # Nothing that lets a text run, and no other address anywhere.
        assert (
            "'unsafe-inline'" not in directives["script-src"]
            and "'unsafe-eval'" not in directives["script-src"]
        )
        assert not re.search(r"https?:|\*", policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert policy == launch.content_policy(host)


def test_the_queue_and_every_case(desk: Desk, visit: Visit) -> None:
    page = visit(desk, MORGAN)
    expect(page.get_by_role("row")).to_have_count(len(TEXTS) + 1)
    harmless(page)
    for name, text in TEXTS.items():
        row = page.locator(f'tr[data-key="{NUMBERS[name]}"]')
        said(row, text)
        row.get_by_role("button").first.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.locator(".co-msg-text")).to_have_count(4)
        harmless(page)
        bubbles = dialog.locator(".co-msg-text").evaluate_all("all => all.map((n) => n.textContent)")
        assert {b.replace("\r\n", "\n") for b in bubbles} == {text.replace("\r\n", "\n")}, name
        said(dialog.get_by_role("heading").first, text)
        said(dialog.locator(".co-case"), text)
        if name in WORKED:
            work(page, dialog, text)
        else:
            page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def work(page: Page, dialog: Locator, text: str) -> None:
    """Escalate the case, so that whatever its name was ends in a toast, a receipt and an announcement."""
    dialog.get_by_label("Internal note").fill(text)
    dialog.get_by_role("button", name="Escalate").click()
    expect(dialog.get_by_role("button", name="Approve & send")).to_have_count(0)
    chosen(dialog, "Reason", "unsure")
    harmless(page)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    receipt = page.locator("[class*=st-key-receipt_]").filter(has_text=letters(text.split()[0])[:12])
    expect(receipt).to_contain_text("Saved and delivered.")
    said(receipt, text)
    # What turns the reading direction would turn our own words on that line too.
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", receipt.inner_text())
    harmless(page)
    receipt.get_by_role("button", name="Receipt").click()
    expect(page.get_by_role("dialog")).to_contain_text("Saved at")
    harmless(page)
    page.keyboard.press("Escape")


def test_an_operator_s_session_from_case_to_debrief(desk: Desk, visit: Visit) -> None:
    page = visit(desk, ALEX, "thursday")
    harmless(page)
    page.get_by_role("row").nth(1).get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reply text")).to_be_visible()
    said(dialog.get_by_label("Reply text"), ALL)
    said(dialog.locator(".co-msg-text"), ALL)
    dialog.get_by_text("Hints: what good looks like").click()
    harmless(page)
    for text in TEXTS.values():
        said(dialog, text)
    # What is typed against the suggestion is shown word by word beside it, and judged by the guardrails.
    dialog.get_by_label("Reply text").fill(f"{TEXTS['template']} {ALL[::-1]}")
    expect(dialog.get_by_text("Your changes").locator("visible=true")).to_have_count(1)
    harmless(page)
    dialog.get_by_label("Reply text").fill(
        f"Hi, we look into it.\n\n{ALL.replace('{', '(').replace('}', ')')}"
    )
    dialog.get_by_label("Internal note").fill(ALL)
    dialog.get_by_role("button", name="Worksheet").click()
    dialog.get_by_label("Outcome").fill(TEXTS["markdown-image"])
    dialog.get_by_label("Note", exact=True).fill(TYPED)
    dialog.get_by_role("button", name="Keep the row").click()
    toasted(page, "Kept in the worksheet")
    dialog.get_by_role("button", name="Finish and debrief").click()
    expect(dialog).to_contain_text("Debrief")
    said(dialog, TEXTS["badge"])
    harmless(page)
    page.goto(desk.url(f"{ALEX.email}:operator", "thursday", "results"))
    expect(page.get_by_role("table")).to_be_visible()
    harmless(page)


def test_the_facilitator_s_session(desk: Desk, visit: Visit) -> None:
    page = visit(desk, MORGAN, "thursday", "session")
    for part in ("Prepare", "Run", "Wrap up"):
        page.get_by_test_id("stButtonGroup").get_by_text(part, exact=True).click()
        harmless(page)
        if part == "Run":
            page.get_by_role("button", name=re.compile("scenario A")).first.click()
            expect(page.get_by_text("The customer writes").first).to_be_visible()
            page.get_by_label("What was asked or seen").fill(TYPED)
            page.get_by_label("Owner").fill(TEXTS["badge"])
            page.get_by_role("button", name="Note it").click()
            toasted(page, "Noted")
            harmless(page)


def test_results_decisions_and_the_way_in(desk: Desk, visit: Visit) -> None:
    for which in ("results", "decisions"):
        page = visit(desk, MORGAN, "", which)
        expect(page.get_by_role("table").first).to_be_visible()
        harmless(page)
    page = visit(desk, None, "thursday")
    expect(page.get_by_role("button", name=re.compile("morgan"))).to_be_visible()
    harmless(page)
    # Whoever made the address of a page wrote it too.
    for name in ("script", "markdown-image", "badge", "bidi", "controls", "quotes"):
        page.goto(desk.url(f"{ALEX.email}:operator", TEXTS[name]))
        expect(page.get_by_text("There is no session called")).to_be_visible()
        harmless(page)
