"""Which reply is suggested for a conversation, from what, and when a person must write it instead."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from cairnops.domain import templates
from cairnops.domain.conversations import Author, Conversation, Message
from cairnops.domain.policy import Policy, SuggestionPolicy


class Source(StrEnum):
    """Where a suggested text came from."""

    TEMPLATE = "template"
    AI = "ai"


@dataclass(frozen=True, kw_only=True, slots=True)
class AiDraft:
    """A text an AI proposed for one conversation, with what it cites."""

    text: str
    #: The category the draft answers (`ship_update`, `refund_offer`, `ack_delay`).
    template_id: str
    #: What it says it is based on: article ids, URLs, index entries.
    sources: tuple[str, ...] = ()
    #: When the index it drew on was built (UTC); None when nobody said.
    index_generated_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A reply as it was shown to an operator, with everything needed to judge it later."""

    source: Source
    template_id: str
    text: str
    #: Values put into the template; a value nobody knew is not here but in `missing`.
    variables: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    index_generated_at: datetime | None = None


class ProblemKind(StrEnum):
    """What can be wrong with a text about to be sent."""

    WRONG_NAME = "wrong_name"
    NAME_MISSING = "name_missing"
    PLACEHOLDER_LEFT = "placeholder_left"
    WRONG_CATEGORY = "wrong_category"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One fault in a text, with the words it was found in."""

    kind: ProblemKind
    #: For the operator: what was found and what was expected.
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Screen:
    """Words for which a person writes the reply."""

    #: Anywhere in what the customer wrote: a threat does not lapse because somebody answered in between.
    high_risk: tuple[str, ...] = ()
    #: In the customer's current turn: a wish for a supervisor that was answered is answered.
    supervisor: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.high_risk or self.supervisor)


def screen(conversation: Conversation, policy: SuggestionPolicy) -> Screen:
    """Look for the policy's high-risk and supervisor words in what the customer wrote."""
    said = (m.text for m in conversation.public_messages() if m.author is Author.CUSTOMER)
    return Screen(
        high_risk=high_risk("\n".join(said), policy.high_risk_words),
        supervisor=high_risk(_turn(conversation), policy.supervisor_words),
    )


def high_risk(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """Words and phrases of the list that occur in a text, in order of appearance, each once.

    Whole words only, whatever the case; blanks, line breaks and hyphens between the words of a phrase
    are alike, and so are straight and typographic apostrophes. A trailing `*` stands for any ending.
    What is returned is the text's own wording, in lower case with single blanks.
    """
    pattern = _pattern(tuple(words))
    if pattern is None:
        return ()
    hits = (" ".join(hit[0].casefold().split()) for hit in pattern.finditer(_plain(text)))
    return tuple(dict.fromkeys(hits))


def classify(conversation: Conversation, policy: SuggestionPolicy) -> str | None:
    """Words of the customer, then tags, choose the template; `suggestions.matcher` says how they are looked for.

    `word_boundary`: screened first; then the customer's current turn (all they wrote since the last
    reply, or their newest message), where a refund word beats a shipping word; then the tags, likewise;
    else `ack_delay`. Activity text and private notes never count.

    `legacy_substring`: exactly the legacy dashboard, errors included (its `pickTemplate`): shipping before
    refund, tags before text, any substring, and activity text taken for the customer's.

    Returns:
        The template's id; None when a person must write (`word_boundary` only).
    """
    if policy.matcher == "legacy_substring":
        return _legacy(conversation, policy)
    if screen(conversation, policy):
        return None
    text = _turn(conversation)
    if high_risk(text, policy.refund_words):
        return "refund_offer"
    if high_risk(text, policy.ship_words):
        return "ship_update"
    if _tagged(conversation.tags, policy.refund_tags):
        return "refund_offer"
    if _tagged(conversation.tags, policy.ship_tags):
        return "ship_update"
    return "ack_delay"


def suggest(
    conversation: Conversation, policy: Policy, *, ai_enabled: bool, draft: AiDraft | None
) -> Suggestion | None:
    """Where the customer uses a high-risk word, or asks for somebody in charge, nothing is suggested: a person writes.

    That comes before everything, under either matcher. Else the AI's draft is shown when AI is on and
    there is one, else the template. A template greets the customer by first name; a name nobody knows
    shows as `[name?]`.

    Returns:
        The reply to show, or None.
    """
    words = policy.suggestions
    if "suggestion.high_risk_screen" in policy.guardrails.disabled:
        words = replace(words, high_risk_words=(), supervisor_words=())
    if screen(conversation, words):
        return None
    if ai_enabled and draft is not None and draft.text.strip():
        return Suggestion(
            source=Source.AI,
            template_id=draft.template_id,
            text=draft.text,
            sources=draft.sources,
            index_generated_at=draft.index_generated_at,
        )
    category = classify(conversation, words)
    if category is None:
        return None
    rendered = templates.render(templates.get(category), {"name": first_name(conversation.customer)})
    return Suggestion(
        source=Source.TEMPLATE,
        template_id=category,
        text=rendered.text,
        variables=rendered.variables,
        missing=rendered.missing,
    )


def first_name(customer: str) -> str:
    """How to greet a customer: the first name, or the whole name where it cannot be told which part that is.

    Empty for what is no name: nothing, an e-mail address, a telephone number.
    """
    name = " ".join(customer.split())
    if "@" in name or not any(char.isalpha() for char in name):
        return ""
    first, _, rest = name.partition(" ")
    if not rest or "," in name or _HONORIFIC.fullmatch(first) or len(first.rstrip(".")) < 2:
        return name
    return first


def problems(
    text: str, suggestion: Suggestion | None, conversation: Conversation, policy: SuggestionPolicy
) -> tuple[Problem, ...]:
    """What is wrong with a text about to be sent; `suggestion` is what it was made from, if anything.

    Wrong name: it greets ("Hi X", "Dear X") or, where the customer is not named at all, addresses
    ("…, X.") somebody else than the customer's first, last or full name. When nobody knows the name, one
    the customer wrote themselves is accepted. Name missing: the text does not name the customer.
    Placeholder left: `{{…}}`, `[name?]`, `[NAME]`, `<…>`, TBD, XXX. Wrong category: the suggestion answers
    something else than `classify` finds; not asked when the screen found a reason for a person to write.
    """
    found = [*_name_problems(text, conversation)]
    left = dict.fromkeys(hit[0] for hit in _PLACEHOLDER.finditer(text))
    found += [
        Problem(kind=ProblemKind.PLACEHOLDER_LEFT, detail=f"{hit} is still in the text") for hit in left
    ]
    if suggestion is not None:
        category = classify(conversation, policy)
        if category not in (None, suggestion.template_id):
            detail = f"the suggestion is {suggestion.template_id}, the customer's words call for {category}"
            found.append(Problem(kind=ProblemKind.WRONG_CATEGORY, detail=detail))
    return tuple(found)


# --- what the customer said -------------------------------------------------------------------------


def _turn(conversation: Conversation) -> str:
    """What the customer wrote since the team's last public reply, or their newest message if answered."""
    said = sorted(conversation.public_messages(), key=lambda m: m.at)
    turn: list[Message] = []
    for message in reversed(said):
        if message.author is Author.CUSTOMER:
            turn.append(message)
        elif turn:
            break
        if turn and said[-1].author is not Author.CUSTOMER:
            break
    return "\n".join(m.text for m in reversed(turn))


def _plain(text: str) -> str:
    return text.replace("’", "'")


@lru_cache(maxsize=128)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    parts = []
    for word in sorted(filter(str.strip, words), key=len, reverse=True):
        stem, ending = (word[:-1], r"\w*") if word.endswith("*") else (word, "")
        parts.append(r"[\s-]+".join(re.escape(p) for p in re.split(r"[\s-]+", _plain(stem).strip())) + ending)
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE) if parts else None


def _tagged(tags: Sequence[str], wanted: Sequence[str]) -> bool:
    """A tag, split at `_`, `-` and blanks, has a wanted word in it, in the singular or the plural."""
    for tag in tags:
        words = " ".join(_singular(w) for w in re.split(r"[\s_-]+", tag.casefold()) if w)
        for word in wanted:
            phrase = " ".join(_singular(w) for w in re.split(r"[\s_-]+", word.casefold()) if w)
            if phrase and f" {phrase} " in f" {words} ":
                return True
    return False


def _singular(word: str) -> str:
    # No further stemming: "returning_customer" is not about a return.
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _legacy(conversation: Conversation, policy: SuggestionPolicy) -> str:
    newest = sorted(conversation.messages, key=lambda m: m.at)[-6:]
    contact = [m for m in newest if m.author is not Author.AGENT]
    text = contact[-1].text.lower() if contact else ""
    tags = [tag.lower() for tag in conversation.tags]

    def calls_for(tag_words: Sequence[str], text_words: Sequence[str]) -> bool:
        return any(word in tag for tag in tags for word in tag_words) or any(w in text for w in text_words)

    if calls_for(policy.ship_tags, policy.ship_words):
        return "ship_update"
    if calls_for(policy.refund_tags, policy.refund_words):
        return "refund_offer"
    return "ack_delay"


# --- what is about to be sent -----------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HONORIFIC = re.compile(r"(?:mr|mrs|ms|miss|mx|dr|prof|sir|madam|herr|frau|mme|sra?)\.?", re.IGNORECASE)
_GREETING = re.compile(
    r"^(?:[^\w\n]|_){0,20}(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|greetings)\b,?[ \t]+"
    r"(?P<rest>[^\n]{1,80})",
    re.IGNORECASE | re.MULTILINE,
)
#: "…, Jordan." at the end of a sentence; a capital before the comma makes it a place ("Austin, Texas.").
_ADDRESS = re.compile(
    r"(?<![\w'’])(?P<before>[\w'’]+), (?P<name>[^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*){0,2})(?=[.!?](?:\s|$))"
)
_WORD = re.compile(r"[^\W\d_][\w'’-]*\.?")
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]*\}?\}?|\[[^\[\]\n]{1,40}\?\]|\[[A-Z][A-Z _-]+\](?!\()|\[insert [^\[\]\n]{1,40}\]"
    r"|<(?![^<>\n]*(?:@|://))[A-Za-z_.…][^<>\n]{0,60}>|\bTBD\b|\bX{3,}\b"
)
_PARTICLES = _words("al bin da de del della der di du el la le ten ter van von y")
#: Words that follow a greeting and are nobody's name.
_NOBODY = _words(
    """
    a after again all and any apologies are as both can colleagues could customer everybody everyone folks
    friend friends from good great guys happy hope i i'd i'll i'm i've if in is it it's just ladies madam my
    neighbor no on our please re regarding sincere sir so sorry team thank thanks that the there this to
    unfortunately valued we we'll we're we've welcome what with yes you your
    """
)
#: Words that end a sentence after a comma and are nobody's name.
_DATES = _words(
    """
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december today tomorrow please thanks
    """
)


def _name_problems(text: str, conversation: Conversation) -> Iterator[Problem]:
    mine = _parts(conversation.customer) if first_name(conversation.customer) else frozenset()
    shown = " ".join(conversation.customer.split()) if mine else ""
    accepted = mine
    if not mine:
        said = (m.text for m in conversation.public_messages() if m.author is Author.CUSTOMER)
        accepted = _parts(" ".join(said))
    named = bool(mine & _parts(text))
    greeted = [name for hit in _GREETING.finditer(text) if (name := _greeted(hit["rest"]))]
    if not named and not any(_parts(name) <= accepted for name in greeted):
        greeted += _addressed(text)
    wrong = [name for name in dict.fromkeys(greeted) if not _parts(name) <= accepted]
    for name in wrong:
        whose = f"the customer is {shown}" if shown else "nobody knows the customer's name"
        yield Problem(kind=ProblemKind.WRONG_NAME, detail=f"the text addresses {name}; {whose}")
    if not wrong and not named:
        if shown:
            yield Problem(kind=ProblemKind.NAME_MISSING, detail=f"the text does not name {shown}")
        elif not greeted:
            yield Problem(kind=ProblemKind.NAME_MISSING, detail="nobody knows the customer's name")


def _parts(name: str) -> frozenset[str]:
    """The words of a name as they are compared: no case, no titles, accents in one form."""
    plain = unicodedata.normalize("NFKC", _plain(name)).casefold()
    words = (re.sub(r"'s$", "", word.strip("'.-")) for word in re.split(r"[^\w'.-]+", plain))
    return frozenset(word for word in words if word and not _HONORIFIC.fullmatch(word))


def _greeted(rest: str) -> str:
    """The name at the beginning of what follows a greeting word; empty when it greets nobody by name."""
    name: list[str] = []
    position = 0
    for word in _WORD.finditer(rest):
        if rest[position : word.start()].strip(" \t") or len(name) == 4:
            break
        bare = _plain(word[0].rstrip("."))
        title = _HONORIFIC.fullmatch(bare)
        if not name and bare.casefold() in _NOBODY:
            return ""
        if bare[0].islower() and bare.casefold() not in _PARTICLES and not title:
            break
        position = word.end()
        name.append(word[0] if title else bare)
        if not title and word[0].endswith(".") and len(bare) > 1:
            break
    if name:
        return " ".join(name) if any(_parts(word) for word in name) else ""
    # "hi jamie, …": in small letters only a single word before a comma or a line's end is a name.
    small = re.match(r"(?P<name>[^\W\d_][\w'’-]*)[ \t]*(?:[,!.:;–—-]|$)", rest)
    return small["name"] if small else ""


def _addressed(text: str) -> list[str]:
    names = []
    for hit in _ADDRESS.finditer(text):
        words = hit["name"].split()
        at_start = not text[: hit.start()].strip() or text[: hit.start()].rstrip()[-1:] in ".!?"
        place = hit["before"][0].isupper() and not at_start
        closing = at_start and not text[hit.end() :].strip(" .!?\n")
        if place or closing or any(_no_name(w) for w in words):
            continue
        names.append(hit["name"])
    return names


def _no_name(word: str) -> bool:
    return word[0].islower() or word.casefold() in _DATES or (len(word) > 1 and word.isupper())
