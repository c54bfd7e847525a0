"""Which template a conversation calls for under both matchers, and what is wrong with a text about to go out."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops.domain import policy as policies
from cairnops.domain import suggestions, templates
from cairnops.domain.conversations import Author, Conversation, Message, Status
from cairnops.domain.suggestions import AiDraft, ProblemKind, Source

NOW = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
DRY_RUN = policies.profile("dry-run")
PARITY = policies.profile("parity")
WORDS = DRY_RUN.suggestions

SHIP, REFUND, ACK = "ship_update", "refund_offer", "ack_delay"


def case(*said: str, tags: tuple[str, ...] = (), customer: str = "Jordan Lee", **changes) -> Conversation:
    """A conversation of texts; "agent: …", "system: …" and "note: …" are not the customer's."""
    messages = []
    for i, line in enumerate(said):
        who, _, text = line.partition(": ")
        author = {"agent": Author.AGENT, "system": Author.SYSTEM, "note": Author.AGENT}.get(
            who, Author.CUSTOMER
        )
        messages.append(
            Message(
                id=str(i),
                author=author,
                text=line if author is Author.CUSTOMER else text,
                at=NOW + timedelta(minutes=i),
                private=who == "note",
            )
        )
    given = {
        "id": "7",
        "customer": customer,
        "customer_key": "key",
        "status": Status.OPEN,
        "created_at": NOW,
        "messages": tuple(messages),
        "tags": tags,
    }
    return Conversation(**(given | changes))


def draft(text: str = "Hi Jordan, all sorted.", template_id: str = REFUND) -> AiDraft:
    return AiDraft(text=text, template_id=template_id, sources=("kb/returns",), index_generated_at=NOW)


# --- the two matchers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "tags", "customer", "expected"),
    [
        pytest.param(["Hello"], (), "Jamie", ACK, id="breached basic"),
        pytest.param(
            ["Could you send me the tracking number?"],
            ("shipping_delay",),
            "Alex",
            SHIP,
            id="shipping tag and text",
        ),
        pytest.param(["It arrived damaged and I need a refund."], (), "Morgan", REFUND, id="refund text"),
        pytest.param(
            ["Is this a lost package? My delivery is delayed."], (), "Taylor", SHIP, id="delivery delay"
        ),
        pytest.param(["Checking in on my order status."], (), "Jordan", ACK, id="generic"),
        pytest.param(["agent: Let me look at that."], ("Refund Issue",), "Quinn", REFUND, id="tag only"),
        pytest.param(
            ["The package is still in transit and there is no tracking update."],
            (),
            "Alex Rivera",
            SHIP,
            id="seed A",
        ),
        pytest.param(
            ["The zipper is damaged, see photo. I want a refund or a replacement."],
            ("refund_offer",),
            "Jordan Lee",
            REFUND,
            id="seed B",
        ),
        pytest.param(
            ["Any news on my order? It has been three days."], (), "Taylor Morgan", ACK, id="seed C"
        ),
        pytest.param([], (), "Jordan", ACK, id="nothing said at all"),
    ],
)
@pytest.mark.parametrize("policy", [DRY_RUN, PARITY], ids=["word_boundary", "legacy_substring"])
def test_both_matchers_agree(
    said: list[str], tags: tuple[str, ...], customer: str, expected: str, policy
) -> None:
    conversation = case(*said, tags=tags, customer=customer)
    assert suggestions.classify(conversation, policy.suggestions) == expected
    shown = suggestions.suggest(conversation, policy, ai_enabled=False, draft=None)
    assert (shown.source, shown.template_id, shown.missing) == (Source.TEMPLATE, expected, ())
    assert shown.text.startswith(f"Hi {customer.split()[0]}, ")


@pytest.mark.parametrize(
    ("said", "tags", "legacy", "right"),
    [
        pytest.param(
            "It still says processing",
            ("escalation", "sla_breach"),
            ACK,
            SHIP,
            id="201: still says processing",
        ),
        pytest.param(
            "I want my $850 refund and I want to speak to a manager",
            (),
            REFUND,
            None,
            id="204: $850 and a manager",
        ),
        pytest.param(
            "The item shipped to me is damaged, refund please",
            (),
            SHIP,
            REFUND,
            id="shipping won over refund",
        ),
        pytest.param("I value our relationship", (), SHIP, ACK, id="relationSHIP"),
        pytest.param("A question about my membership", (), SHIP, ACK, id="memberSHIP"),
        pytest.param("How do I transfer ownership?", (), SHIP, ACK, id="ownerSHIP"),
        pytest.param("Nobody returned my call", (), REFUND, ACK, id="RETURNed my call"),
        pytest.param("Any news?", ("late_shipment",), ACK, SHIP, id="tag late_shipment"),
        pytest.param("I want a refund", ("shipping_delay",), SHIP, REFUND, id="tag beat text"),
        pytest.param("My lawyer will file a chargeback", (), ACK, None, id="lawyer and chargeback"),
        pytest.param("Where is my order? 5 days", (), ACK, SHIP, id="where is my order"),
    ],
)
def test_known_wrong_under_legacy_and_right_by_default(
    said: str, tags: tuple[str, ...], legacy: str, right: str | None
) -> None:
    conversation = case(said, tags=tags)
    assert suggestions.classify(conversation, PARITY.suggestions) == legacy
    assert suggestions.classify(conversation, WORDS) == right


@pytest.mark.parametrize(
    ("said", "legacy", "right"),
    [
        pytest.param(
            ["Hello", "system: Label shipping was added"], SHIP, ACK, id="activity text is not the customer"
        ),
        pytest.param(["I want a refund", "note: shipping says no"], REFUND, REFUND, id="a private note"),
        pytest.param(["I want a refund", *["agent: Hello?"] * 6], ACK, REFUND, id="older than six messages"),
        pytest.param(["I want a refund", "Hello??"], ACK, REFUND, id="the whole turn, not its last line"),
        pytest.param(
            ["I want a refund", "agent: Done.", "Any news?"], ACK, ACK, id="what was answered is answered"
        ),
        pytest.param(["I want a refund", "agent: Done."], REFUND, REFUND, id="answered: the newest message"),
        pytest.param(
            ["Hello", "I want a refund", "agent: Done."], REFUND, REFUND, id="answered after two messages"
        ),
    ],
)
def test_what_counts_as_the_customers_words(said: list[str], legacy: str, right: str) -> None:
    assert suggestions.classify(case(*said), PARITY.suggestions) == legacy
    assert suggestions.classify(case(*said), WORDS) == right


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        pytest.param("shipping", SHIP, id="the word"),
        pytest.param("Delivery-Problem", SHIP, id="first of two"),
        pytest.param("late shipments", SHIP, id="plural"),
        pytest.param("deliveries_late", SHIP, id="plural in -ies"),
        pytest.param("refund_offer", REFUND, id="refund_offer"),
        pytest.param("Returns", REFUND, id="returns"),
        pytest.param("returning_customer", ACK, id="a returning customer returns nothing"),
        pytest.param("membership", ACK, id="membership"),
        pytest.param("nonrefundable", ACK, id="inside a word"),
    ],
)
def test_tags_by_whole_words(tag: str, expected: str) -> None:
    assert suggestions.classify(case("Hello", tags=(tag,)), WORDS) == expected


def test_a_refund_tag_beats_a_shipping_tag_and_text_beats_both() -> None:
    tags = ("shipping", "refund")
    assert suggestions.classify(case("Hello", tags=tags), WORDS) == REFUND
    assert suggestions.classify(case("Where is my order?", tags=tags), WORDS) == SHIP


@given(
    said=st.text(alphabet="xyz "), tags=st.lists(st.sampled_from(["vip", "shipping", "refund"]), max_size=2)
)
def test_matchers_always_answer(said: str, tags: list[str]) -> None:
    for words in (WORDS, PARITY.suggestions):
        assert suggestions.classify(case(said, tags=tuple(tags)), words) in (SHIP, REFUND, ACK)


# --- words that call for a person ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("I will call my Lawyer", ("lawyer",), id="whatever the case"),
        pytest.param("fraud! FRAUD! and a chargeback", ("fraud", "chargeback"), id="in order, once each"),
        pytest.param(
            "our lawyers say it is fraudulent", ("lawyers", "fraudulent"), id="any ending where listed so"
        ),
        pytest.param("I'll sue", ("i'll sue",), id="straight apostrophe"),
        pytest.param("I’ll sue", ("i'll sue",), id="typographic apostrophe"),
        pytest.param(
            "I will dispute\n the  charge", ("dispute the charge",), id="a phrase over a line break"
        ),
        pytest.param("I want a charge-back", ("charge-back",), id="a hyphen for a blank"),
        pytest.param("the attorney general", ("attorney",), id="attorney"),
        pytest.param("Thanks, Sue", (), id="a customer called Sue"),
        pytest.param("such skill, the legality of killjoys, a policeman", (), id="inside other words"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_high_risk(text: str, expected: tuple[str, ...]) -> None:
    assert suggestions.high_risk(text, WORDS.high_risk_words) == expected


def test_no_words_find_nothing() -> None:
    assert suggestions.high_risk("a lawyer", ()) == suggestions.high_risk("a lawyer", ("", " ")) == ()


@pytest.mark.parametrize(
    ("said", "high_risk", "supervisor"),
    [
        pytest.param(["My lawyer will call you"], ("lawyer",), (), id="high risk"),
        pytest.param(["Get me your manager"], (), ("manager",), id="supervisor"),
        pytest.param(["My lawyer knows", "agent: Noted.", "Any news?"], ("lawyer",), (), id="a threat stays"),
        pytest.param(
            ["Your manager!", "agent: I am.", "Any news?"], (), (), id="an answered wish is answered"
        ),
        pytest.param(["Your manager!", "Hello?"], (), ("manager",), id="a wish in the same turn"),
        pytest.param(["Hello", "note: smells of fraud, ask a manager"], (), (), id="a private note"),
        pytest.param(["Hello", "system: assigned to the manager"], (), (), id="activity text"),
        pytest.param(["agent: I am the manager", "Hello"], (), (), id="the team's own words"),
    ],
)
def test_screen(said: list[str], high_risk: tuple[str, ...], supervisor: tuple[str, ...]) -> None:
    found = suggestions.screen(case(*said), WORDS)
    assert (found.high_risk, found.supervisor) == (high_risk, supervisor)
    assert (suggestions.classify(case(*said), WORDS) is None) is bool(found)


# --- the suggestion -----------------------------------------------------------------------------------


def test_an_ai_draft_keeps_its_sources() -> None:
    shown = suggestions.suggest(case("I want a refund"), DRY_RUN, ai_enabled=True, draft=draft())
    assert (shown.source, shown.template_id, shown.text) == (Source.AI, REFUND, "Hi Jordan, all sorted.")
    assert (shown.sources, shown.index_generated_at) == (("kb/returns",), NOW)


@pytest.mark.parametrize(
    ("ai_enabled", "given_draft"),
    [
        pytest.param(False, draft(), id="AI off"),
        pytest.param(True, None, id="no draft"),
        pytest.param(True, draft(text=" \n"), id="an empty draft"),
    ],
)
def test_the_template_stands_in(ai_enabled: bool, given_draft: AiDraft | None) -> None:
    shown = suggestions.suggest(case("Where is my order?"), DRY_RUN, ai_enabled=ai_enabled, draft=given_draft)
    assert (shown.source, shown.template_id, shown.sources) == (Source.TEMPLATE, SHIP, ())
    assert shown.variables == {"name": "Jordan"}


@pytest.mark.parametrize("said", ["My lawyer will call you", "I want a manager"])
@pytest.mark.parametrize("ai_enabled", [True, False])
def test_nothing_is_suggested_where_a_person_must_write(said: str, ai_enabled: bool) -> None:
    assert suggestions.suggest(case(said), DRY_RUN, ai_enabled=ai_enabled, draft=draft()) is None


@pytest.mark.parametrize(
    ("customer", "greeting"),
    [
        pytest.param("Jordan Lee", "Jordan", id="first name"),
        pytest.param("  Jordan\nLee ", "Jordan", id="stray blanks"),
        pytest.param("Madonna", "Madonna", id="one name"),
        pytest.param("Ms. Lee", "Ms. Lee", id="a title"),
        pytest.param("Lee, Jordan", "Lee, Jordan", id="last name first"),
        pytest.param("J. Lee", "J. Lee", id="an initial"),
        pytest.param("田中", "田中", id="another script"),
        pytest.param("", "", id="nobody knows"),
        pytest.param("jordan@example.com", "", id="an address"),
        pytest.param("+1 555 0100", "", id="a number"),
    ],
)
def test_first_name(customer: str, greeting: str) -> None:
    assert suggestions.first_name(customer) == greeting


def test_a_name_nobody_knows_is_visible() -> None:
    shown = suggestions.suggest(case("Hello", customer=""), DRY_RUN, ai_enabled=False, draft=None)
    assert shown.text.startswith("Hi [name?], ")
    assert (shown.variables, shown.missing) == ({}, ("name",))


# --- templates ----------------------------------------------------------------------------------------


def test_the_catalogue() -> None:
    assert [t.id for t in templates.TEMPLATES] == [ACK, SHIP, REFUND]
    for template in templates.TEMPLATES:
        rendered = templates.render(template, {})
        assert rendered.missing == template.variables == ("name",)
        assert templates.get(template.id) is template
    assert "refund" in templates.get(REFUND).text
    assert "store credit" in templates.get(REFUND).text
    with pytest.raises(KeyError):
        templates.get("escalation_manager")


@pytest.mark.parametrize("template_id", [ACK, SHIP])
def test_a_promise_in_a_template_is_one_the_policy_knows(template_id: str) -> None:
    assert suggestions.high_risk(templates.get(template_id).text, WORDS.promise_words)


@pytest.mark.parametrize(
    ("text", "values", "shown", "missing", "legacy"),
    [
        pytest.param("Hi {{ name }}!", {"name": "Jo"}, "Hi Jo!", (), "Hi Jo!", id="blanks in the braces"),
        pytest.param("Hi {{name}}!", {}, "Hi [name?]!", ("name",), "Hi Customer!", id="no name"),
        pytest.param("Hi {{name}}!", {"name": " "}, "Hi [name?]!", ("name",), "Hi  !", id="a blank name"),
        pytest.param(
            "Hi {{contact.name}}!",
            {"name": "Jo"},
            "Hi [contact.name?]!",
            ("contact.name",),
            "Hi !",
            id="unknown",
        ),
        pytest.param(
            "{{a}} {{b}} {{a}}",
            {"b": "2"},
            "[a?] 2 [a?]",
            ("a",),
            " 2 ",
            id="named once, shown where it is missing",
        ),
        pytest.param("{{name}}", {"name": "{{x}}"}, "{{x}}", (), "{{x}}", id="a value is not a template"),
        pytest.param("{name} {{name", {"name": "Jo"}, "{name} {{name", (), "{name} {{name", id="not slots"),
    ],
)
def test_rendering(
    text: str, values: dict[str, str], shown: str, missing: tuple[str, ...], legacy: str
) -> None:
    rendered = templates.render(templates.Template(id="t", title="T", text=text), values)
    assert (rendered.text, rendered.missing) == (shown, missing)
    assert templates.render_legacy(text, values) == legacy


# --- problems of a text about to be sent --------------------------------------------------------------

NAME, MISSING = ProblemKind.WRONG_NAME, ProblemKind.NAME_MISSING
PLACEHOLDER, CATEGORY = ProblemKind.PLACEHOLDER_LEFT, ProblemKind.WRONG_CATEGORY


def kinds(text: str, customer: str = "Jordan Lee", said: str = "Hello") -> list[ProblemKind]:
    return [p.kind for p in suggestions.problems(text, None, case(said, customer=customer), WORDS)]


@pytest.mark.parametrize(
    "text",
    [
        "Hi Jordan, thanks for waiting.",
        "hi jordan, thanks for waiting.",
        "Hi Jordan thanks for waiting.",
        "Hello Jordan Lee, thanks.",
        "Dear Ms. Lee, thanks.",
        "Hey Jordan!\nIt is on its way.",
        "Hi, Jordan. It is on its way.",
        "Good morning Jordan, it is on its way.",
        "I'm really sorry this item arrived faulty, Jordan. I can process a refund.",
        "Hi there, Jordan. It is on its way.",
        "Hi Jordan, it ships to Austin, Texas. I passed it to our lead, Riley.",
        "Hi Jordan, it arrives on Friday, October.",
        "Hi Jordan, thanks for waiting.\nBest,\nRiley",
        "Hi Jordan, thanks for waiting. Thanks, Riley.",
        "JORDAN’S order is on its way.",
    ],
)
def test_the_right_name_is_no_problem(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Hi Jamie, thanks for waiting.", id="hi"),
        pytest.param("hi jamie, thanks for waiting.", id="in small letters"),
        pytest.param("HELLO JAMIE! Thanks.", id="in capitals"),
        pytest.param("Hi Jamie thanks for waiting.", id="without a comma"),
        pytest.param("Dear Mr. Rivera, thanks.", id="with a title"),
        pytest.param("Dear Anna van der Berg, thanks.", id="with particles"),
        pytest.param("Hi Jordana, thanks.", id="a longer name that begins alike"),
        pytest.param("Hi Jordan Smith, thanks.", id="right first, wrong last name"),
        pytest.param("Sorry about this.\nHi Jamie, thanks.", id="on the second line"),
        pytest.param("Sorry this took so long, Jamie. It ships today.", id="at the end of a sentence"),
        pytest.param("Hi Jamie, Jordan told us about you.", id="the customer's name elsewhere"),
        pytest.param("Hi 田中, thanks.", id="another script"),
    ],
)
def test_somebody_elses_name(text: str) -> None:
    assert kinds(text) == [NAME]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Hi there, thanks.", id="hi there"),
        pytest.param("Dear customer, thanks.", id="dear customer"),
        pytest.param("Dear Valued Customer, thanks.", id="dear valued customer"),
        pytest.param("Hello, your order ships today.", id="hello"),
        pytest.param("Hello and welcome back, your order ships today.", id="a phrase, not a name"),
        pytest.param("Hi, I'm looking into it.", id="I'm"),
        pytest.param("Your order ships to Austin, Texas.", id="a place"),
        pytest.param("Your order ships on time, please.", id="a word in small letters"),
        pytest.param("It ships this week, Friday.", id="a day"),
        pytest.param("It ships with another carrier, UPS.", id="an abbreviation"),
        pytest.param("Hi As promised, your order ships today.", id="a sentence that begins with a capital"),
        pytest.param("It is on its way. Thanks, Riley.", id="signed on the last line"),
        pytest.param("It is on its way.\nThanks,\nRiley", id="signed on its own line"),
        pytest.param("Jordanian coffee is out of stock.", id="inside another word"),
    ],
)
def test_nobodys_name(text: str) -> None:
    assert kinds(text) == [MISSING]


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        pytest.param("Hi there, thanks.", "Hello", [MISSING], id="no name to use"),
        pytest.param("Hi Jamie, thanks.", "Hello", [NAME], id="an invented name"),
        pytest.param("Hi Jamie, thanks.", "Where is it? Jamie", [], id="the name the customer signed with"),
    ],
)
@pytest.mark.parametrize("customer", ["", "jamie@example.com"])
def test_when_nobody_knows_the_name(customer: str, text: str, said: str, expected: list[ProblemKind]) -> None:
    assert kinds(text, customer, said) == expected


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param("Hi {{name}}, thanks.", "{{name}}", id="slot"),
        pytest.param("See {{ tracking", "{{ tracking", id="half a slot"),
        pytest.param("Hi [name?], thanks.", "[name?]", id="missing value"),
        pytest.param("Order [ORDER NUMBER] ships.", "[ORDER NUMBER]", id="capitals in brackets"),
        pytest.param("See [insert link here].", "[insert link here]", id="insert"),
        pytest.param("It ships <date>.", "<date>", id="angle brackets"),
        pytest.param("It ships <…>.", "<…>", id="an ellipsis"),
        pytest.param("It ships TBD.", "TBD", id="TBD"),
        pytest.param("Order XXX ships.", "XXX", id="XXX"),
    ],
)
def test_a_placeholder_left(text: str, left: str) -> None:
    found = [p for p in suggestions.problems(text, None, case("Hello"), WORDS) if p.kind is PLACEHOLDER]
    assert [p.detail for p in found] == [f"{left} is still in the text"]


@pytest.mark.parametrize(
    "text",
    [
        "I <3 this, 5 < 6 and 7 > 6.",
        "Write to <help@example.com> or <https://example.com/x>.",
        "Size XXXL, see [the guide](https://example.com) [1].",
        "Use {this} set.",
    ],
)
def test_no_placeholder(text: str) -> None:
    assert PLACEHOLDER not in kinds(text)


def test_a_text_can_have_several_problems_each_named_once() -> None:
    text = "Hi Jamie, your order {{number}} ships TBD, TBD at the latest. {{number}}!"
    assert kinds(text) == [NAME, PLACEHOLDER, PLACEHOLDER]


@pytest.mark.parametrize(
    ("said", "template_id", "expected"),
    [
        pytest.param("Where is my order?", SHIP, [], id="fits"),
        pytest.param("I want a refund", SHIP, [CATEGORY], id="answers something else"),
        pytest.param("My lawyer wants a refund", SHIP, [], id="a person writes: another rule's business"),
    ],
)
def test_the_category_of_the_suggestion(said: str, template_id: str, expected: list[ProblemKind]) -> None:
    shown = suggestions.Suggestion(source=Source.AI, template_id=template_id, text="")
    found = suggestions.problems("Hi Jordan, thanks.", shown, case(said), WORDS)
    assert [p.kind for p in found] == expected


def test_the_seeds_own_texts_have_no_problem() -> None:
    seeds = {
        "Alex Rivera": "Hi Alex, thanks for flagging the delay. I've escalated this to our carrier and will email "
        "you a fresh tracking update as soon as they reply — I'll follow up within the next few hours.",
        "Jordan Lee": "I'm really sorry this item arrived faulty, Jordan. I can process a refund right away or ship "
        "a replacement if you prefer — let me know which works best and I’ll queue it immediately.",
        "Taylor Morgan": "Hi Taylor, thank you for your patience — I'm reviewing your order details right now and "
        "will follow up with the exact status shortly.",
    }
    for customer, text in seeds.items():
        for other in seeds:
            assert kinds(text, other) == ([] if other == customer else [NAME])


@given(text=st.text(max_size=60), customer=st.text(max_size=20))
def test_any_text_can_be_checked(text: str, customer: str) -> None:
    conversation = case(text, customer=customer)
    suggestions.problems(text, None, conversation, WORDS)
    shown = suggestions.suggest(conversation, DRY_RUN, ai_enabled=False, draft=None)
    if shown is not None and not shown.missing:
        assert shown.variables["name"] in shown.text


def test_the_word_lists_are_the_policys() -> None:
    own = replace(WORDS, ship_words=("widget*",), high_risk_words=(), supervisor_words=())
    assert suggestions.classify(case("my lawyer wants widgets"), own) == SHIP


@pytest.mark.parametrize("piece", ["a", "\n", "{{", "<", "[A", "Hi ", "a, ", ", A", "a-", "_"])
def test_a_hostile_text_is_checked_in_time(piece: str) -> None:
    began = time.perf_counter()
    kinds(piece * 20_000, said=piece * 20_000)
    assert time.perf_counter() - began < 3
