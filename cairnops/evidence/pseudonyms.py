"""Which parts of a text are about a customer, and what stands in their place: the same for the same, everywhere."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

#: What is looked for, and where it is known from.
KINDS = ("customer", "e-mail", "phone", "order")

#: What nobody can find by rule. Said with every redaction, because silence would be taken for a promise.
NOT_FOUND = (
    "names of people who are not customers of the session's conversations (a relative, a neighbour, a courier)",
    "nicknames and misspelt names, and names broken up by invisible characters",
    "street addresses, birthdays, and whatever tells who somebody is without naming them",
    "a name that is also an ordinary word, where it is written small (will, mark, rose)",
    "order numbers that are plain digits, where nothing near says that they are one",
    "phone numbers with fewer than eight digits",
    "conversation numbers: they stay, and whoever may open the help desk finds the customer by them",
    "anything in pictures and pages: they are left out whole",
)

#: Given and family names that are also words: matched only as names are written.
_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        april art august autumn baker bill bishop black brown carpenter carter chance chase christian clay cook
        cooper crystal dale dawn dean demo don drew earl faith fisher forest frank gene grace grant gray green
        harmony hope hunter ivy jack jasmine joy june king lane lily lord mark mason max may miles miller misty
        nick north olive page park parker patience pearl penny price rich river rob rose rusty sandy shepherd
        smith sterling storm stone sue summer taylor trainer trip violet wade ward west white will winter wood
        woods young
        """,
    )
)

_PROTECTED = (
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d[:-]\d\d(?:[:-]\d\d(?:\.\d+)?)?Z?)?",
    r"\d{1,2}[./]\d{1,2}[./]\d{2,4}",
    r"(?<![0-9A-Za-z])[0-9A-HJKMNP-TV-Z]{26}(?![0-9A-Za-z])",
    r"(?<![0-9A-Za-z])[0-9a-f]{32,}(?![0-9A-Za-z])",
    r"chatwoot:\d+",
)
_EMAIL = r"[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
_ORDER = (
    r"\#[A-Za-z]{1,6}-?\d{3,}|(?<=\#)\d{4,12}(?!\w)"
    r"|(?:(?<=[Oo]rder )|(?<=[Oo]rder no )|(?<=[Oo]rder number ))\d{3,12}(?!\w)"
)
_PHONE = r"(?<![\w.,#-])(?:\+|\()?\d[\d\s().\-/\u2010-\u2015]{5,24}\d(?![\w])"
_TOKEN = re.compile(r"\[(?:" + "|".join(KINDS) + r") [^\[\]]{1,40}\]")

# A letter or digit on either side makes it a part of another word; an underscore does not.
_BEFORE, _AFTER = r"(?<![^\W_])", r"(?![^\W_])"


class Pseudonyms:
    """Replaces what is personal in texts, and remembers what each replacement stands for."""

    def __init__(
        self,
        customers: Iterable[str],
        orders: Iterable[str],
        *,
        kept_emails: Iterable[str] = (),
        kept_names: Iterable[str] = (),
    ):
        self._kept = {e.casefold() for e in kept_emails}
        #: Replacement -> every spelling it stands for.
        self.meaning: dict[str, set[str]] = {}
        #: How many passages of each kind were replaced.
        self.counts = dict.fromkeys(KINDS, 0)
        self._numbers: dict[tuple[str, str], int] = {}
        self._parts: dict[str, list[int]] = {}
        self._whole: dict[str, int] = {}
        whole: list[str] = []
        parts: list[str] = []
        for name in dict.fromkeys(_nfc(c).strip() for c in customers):
            if name:
                self._add(name, whole, parts)
        known = sorted({_nfc(o).strip() for o in orders if o.strip()}, key=lambda o: (-len(o), o))
        self._patterns = re.compile(
            "|".join(
                f"(?P<{group}>{pattern})"
                for group, pattern in (
                    ("protected", "|".join((*_PROTECTED, *_phrases(kept_names)))),
                    ("email", _EMAIL),
                    ("order", "|".join((*map(_known_order, known), _ORDER))),
                    ("phone", _PHONE),
                    # A whole name before its parts, or "Alex Rivera" would become two people.
                    ("name", "|".join((*_longest_first(whole), *_longest_first(parts))) or r"(?!)"),
                )
            )
        )

    def _add(self, name: str, whole: list[str], of_parts: list[str]) -> None:
        """Add patterns for a customer's whole name and for each part of it."""
        number = self._number("customer", name)
        parts = [p for p in re.split(r"[\s,]+", name) if sum(c.isalnum() for c in p) > 1]
        self._whole[_key(name)] = number
        if len(name.split()) > 1:
            joined = r"[\W_]{0,3}".join(_spelt(word) for word in name.split())
            whole.append(f"{_BEFORE}(?i:{joined}){_AFTER}")
        for part in parts:
            owners = self._parts.setdefault(_key(part), [])
            if number not in owners:
                owners.append(number)
            if pattern := _part(part):
                of_parts.append(pattern)

    def text(self, text: str) -> str:
        """The text with everything personal replaced; a text without any comes back as it was."""
        plain = _nfc(text)
        out = self._patterns.sub(self._replace, plain)
        return text if out == plain else out

    def data(self, value: Any, *, skip: Callable[[str], bool] = lambda _: False, at: str = "") -> Any:
        """The same for JSON data: strings, wherever they stand; `skip` says which pointers stay as they are."""
        if isinstance(value, str):
            return value if skip(at) else self.text(value)
        if isinstance(value, dict):
            return {k: self.data(v, skip=skip, at=f"{at}/{pointer(k)}") for k, v in value.items()}
        if isinstance(value, list):
            return [self.data(v, skip=skip, at=f"{at}/{n}") for n, v in enumerate(value)]
        return value

    def _replace(self, found: re.Match[str]) -> str:
        passage, group = found[0], found.lastgroup
        if group == "email" and passage.casefold() not in self._kept:
            return self._stand_in("e-mail", passage)
        if group == "order":
            return self._stand_in("order", passage, "".join(c for c in passage if c.isalnum()))
        if group == "phone" and 8 <= sum(c.isdigit() for c in passage) <= 15:
            return self._stand_in("phone", passage, "".join(c for c in passage if c.isdigit()))
        if group == "name":
            return self._person(passage)
        return passage

    def _person(self, passage: str) -> str:
        key = _key(passage)
        number = self._whole.get(key)
        owners = [number] if number is not None else self._parts.get(key, [])
        stand_in = f"[customer {' or '.join(map(str, owners))}]"
        self.counts["customer"] += 1
        self.meaning.setdefault(stand_in, set()).add(passage)
        return stand_in

    def _stand_in(self, kind: str, passage: str, key: str = "") -> str:
        stand_in = f"[{kind} {self._number(kind, key or passage)}]"
        self.counts[kind] += 1
        self.meaning.setdefault(stand_in, set()).add(passage)
        return stand_in

    def _number(self, kind: str, passage: str) -> int:
        key = (kind, _key(passage))
        if key not in self._numbers:
            self._numbers[key] = 1 + sum(k == kind for k, _ in self._numbers)
        return self._numbers[key]


def fits(view: str, original: str) -> bool:
    """True when the view is the original with something in the place of each stand-in."""
    pieces = _TOKEN.split(_nfc(view))
    text = _nfc(original)
    if len(pieces) == 1:
        return view == original
    if not text.startswith(pieces[0]):
        return False
    place = len(pieces[0])
    for piece in pieces[1:-1]:
        place = text.find(piece, place + 1)
        if place < 0:
            return False
        place += len(piece)
    return len(text) - len(pieces[-1]) > place and text.endswith(pieces[-1])


def stands_in(text: str, spelling: str) -> bool:
    """True when the passage still stands in the text as a word of its own, in any case unless it is also a word."""
    if sum(c.isalnum() for c in spelling) < 4:
        return False
    exact = _key(spelling) in _WORDS
    found = re.search(f"{_BEFORE}{re.escape(spelling)}{_AFTER}", text, 0 if exact else re.IGNORECASE)
    return found is not None


def pointer(name: str) -> str:
    """A field's name as RFC 6901 writes it in a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _bare(text: str) -> str:
    """Without accents, as many keyboards write it."""
    return _nfc("".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)))


#: Each plain Latin letter with all its accented forms.
_FORMS: dict[str, str] = {}
for _c in map(chr, range(0xC0, 0x250)):
    if len(_bare(_c)) == 1 and _bare(_c) != _c:
        _FORMS[_bare(_c)] = _FORMS.get(_bare(_c), "") + _c


def _spelt(text: str) -> str:
    """A pattern for the text with any accents, or none."""
    return "".join(f"[{c}{_FORMS[c]}]" if c in _FORMS else re.escape(c) for c in _bare(text))


def _key(text: str) -> str:
    return "".join(c for c in _bare(text).casefold() if c.isalnum())


def _part(part: str) -> str:
    if len(part) >= 3 and _key(part) not in _WORDS:
        return f"{_BEFORE}(?i:{_spelt(part)}){_AFTER}"
    # A name kept in small letters is a name nobody can tell from the word.
    written = [_spelt(s) for s in dict.fromkeys((part, part.title(), part.upper())) if s != s.lower()]
    return f"{_BEFORE}(?:{'|'.join(written)}){_AFTER}" if written else ""


def _known_order(number: str) -> str:
    bare = number.lstrip("#")
    if bare.isdecimal():
        # Four bare digits may be a conversation, a year or an amount.
        return rf"\#{bare}(?!\w)" if len(bare) < 6 else rf"(?<!\w)\#?{bare}(?!\w)"
    return rf"(?i:{_BEFORE}\#?{re.escape(bare)}){_AFTER}"


def _phrases(names: Iterable[str]) -> Sequence[str]:
    return [f"{_BEFORE}{re.escape(n)}{_AFTER}" for n in _longest_first(_nfc(n) for n in names if n)]


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(texts), key=lambda t: (-len(t), t))
