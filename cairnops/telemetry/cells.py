"""What one cell of a worksheet says: which decisions, which conversation, when, how it ended, what proves it."""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: Why a cell that should name decisions does not, as a sentence.
BAD_IDS = {
    "scientific": "a spreadsheet has turned the id into a rounded number; its last digits are lost",
    "not-whole": "an id is a whole number",
    "ambiguous-number": "it can be read as one number or as two ids",
    "placeholder": "it was never filled in",
    "struck-out": "it is struck out: whether it is still claimed, nobody can say",
    "conversation": "it names a conversation, not a decision",
    "range": "the range is turned round, or too long to be meant",
    "too-long": "no id has that many digits",
    "not-an-id": "it is no decision id",
}

#: What was put right in a cell.
CELL_REPAIRS = {
    "leading-zeros": "zeros in front of the id were dropped",
    "decimal": "a spreadsheet's .0 behind the id was dropped",
    "range": "a range of ids was written out",
}

_LONGEST = 30
_LONGEST_RANGE = 1000
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ULID = re.compile(r"(?=\d*[A-Za-z])[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\(\s*<?([^()<>\s]*)>?[^()]*\)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_REMARK = re.compile(r"\s*\([^()]*\)")
_INVISIBLE = re.compile(
    r"[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

_NOTHING = {
    "—", "–", "-", "--", "---", "―", "−", "n/a", "n.a.", "na", "none", "nil", "null", "nothing", "no", "no decision",
    "no decisions", "no row", "not logged", "keine", "aucune", "ninguna", "no decision logged", "no decision made",
}  # fmt: skip
_PLACEHOLDER = re.compile(
    r"<[^<>]*>|\[?(?:tbd|tba|todo|pending|fill in|xxx+)\]?|\?+|\.{2,}|…|_+", re.IGNORECASE
)
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
_THOUSANDS = re.compile(r"\d{1,2}(?:[,.'\u2019]\d{3})+")
_RANGE = re.compile(r"#?(\d{1,18})\s*(?:-|–|—|\.\.\.?|…)\s*#?(\d{1,18})")
_PREFIX = re.compile(
    r"(?:cairnops:)?(?:decision|dec)(?:[ _-]?id)?(?:\s*[:/#.]\s*|\s+)#?|(?:id|no\.?|nr\.?)\s*[:#]?\s*|#\s*",
    re.IGNORECASE,
)
_CONVERSATION_WORD = re.compile(r"(?:chatwoot|conversation|conv|ticket)\s*[:/# ]", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*[,;/&\n]\s*|\s+(?:and|und|et|y)\s+|\s+\+\s+|\s+")
_IN_URL = re.compile(r"/conversations?/(\d+)")
_CONVERSATION = re.compile(
    r"(?:(?P<system>[A-Za-z][\w-]*):(?://)?|(?:conversation|conv|ticket)?\s*[:#]?\s*)#?(?P<id>[\w.-]+)",
    re.IGNORECASE,
)
_EFFECT = re.compile(r"\b(reply|note|label|status|[a-z_]{3,20}):\s*(saved, not yet sent|[A-Z][A-Z_]{1,30})\b")
_WORD = re.compile(r"[A-Za-z][A-Za-z _-]{1,30}")
_SHA = re.compile(r"(?:sha-?256\s*[:=]?\s*)?\b([0-9a-fA-F]{64})\b", re.IGNORECASE)
_PATH = re.compile(r"(?:\.{0,2}/)?(?:[\w.@%+=-]+/)*[\w.@%+=-]*")
_EXTENSION = re.compile(
    r"\.(?:ndjson|jsonl|json|csv|tsv|md|txt|log|html?|xml|ya?ml|pdf|png|jpe?g|gif|webp|svg|webm|mp4|mov|m4a|wav|zip|gz"
    r"|parquet|xlsx|db|har|eml)$",
    re.IGNORECASE,
)

#: Words a cell may use for how a delivery ended; anything else there is prose and is not compared.
STATUS_WORDS = frozenset(
    {
        "SUCCESS", "OK", "COMPLETED", "SYNCED", "DELIVERED", "FAILURE", "FAILED", "ERROR", "TIMEOUT", "TIMED_OUT",
        "FATAL", "REJECTED", "UNKNOWN", "PENDING",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """One decision a cell names; one of the two is empty."""

    number: str = ""
    uid: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ids:
    """What an id cell says."""

    named: tuple[Named, ...] = ()
    #: The cell says in so many words that there is no decision.
    absent: bool = False
    #: A key of `BAD_IDS`, or empty.
    problem: str = ""
    #: Keys of `CELL_REPAIRS`.
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """When, in milliseconds since 1970 UTC, and how much later it may have been (the time was written coarsely)."""

    at: int
    width: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """A file somebody points at; `sha256` is what they say its hash is, lower case, or empty."""

    path: str
    sha256: str = ""


def plain(cell: str, *, markdown: bool = False) -> str:
    """The words of a cell: compatible characters folded, invisible ones and Markdown's marks gone."""
    text = _INVISIBLE.sub("", cell if cell.isascii() else unicodedata.normalize("NFKC", cell))
    if markdown and not text.isalnum():
        text = _BREAK.sub("\n", text)
        text = _LINK.sub(lambda m: m[1], text)
        text = re.sub(r"(?<!\\)(?:`+|\*+|~~)", "", text)
        text = re.sub(r"(?<![\w\\])_+(?=\S)|(?<=\S)(?<!\\)_+(?!\w)", "", text) if text.strip("_ ") else text
        text = _ESCAPED.sub(r"\1", text).replace("&amp;", "&")
    text = text.strip()
    # An apostrophe in front keeps a spreadsheet from running, or rounding, what follows.
    return text[1:].strip() if text.startswith("'") else text


def uid(text: str) -> str:
    """A ULID or UUID in its usual case, or empty."""
    if _ULID.fullmatch(text):
        return text.upper()
    return text.lower() if _UUID.fullmatch(text) else ""


def whole_number(text: str) -> str:
    """Digits without the zeros in front; anything else as it is."""
    return (text.lstrip("0") or "0") if text.isascii() and text.isdigit() else text


@functools.lru_cache(maxsize=512)
def ids(cell: str, *, markdown: bool = False) -> Ids:
    """Which decisions an id cell names; empty for an empty cell.

    Read are `101`, `#101`, `` `101` ``, `[101](link)`, `decision:101`, `0101`, `101.0`, ULIDs and UUIDs, several of
    them, ranges such as `101–104`, and a remark in brackets behind. Whatever else stands there has a `problem`.
    """
    if markdown and re.search(r"(?<!\\)~~[^~]+~~", cell):
        return Ids(problem="struck-out")
    text = plain(cell, markdown=markdown)
    if not text:
        return Ids()
    if " ".join(text.lower().split()).rstrip(".") in _NOTHING or text.lower() in _NOTHING:
        return Ids(absent=True)
    if _PLACEHOLDER.fullmatch(text):
        return Ids(problem="placeholder")
    text = _REMARK.sub("", text).strip() or text
    text = re.sub(r"^(?:decisions?|ids?)\b(?:\s+ids?\b)?\s*[:#]?\s+(?=[#\d])", "", text, flags=re.IGNORECASE)
    named: list[Named] = []
    repairs: list[str] = []
    for part in _parts(text):
        problem = _one(part, named, repairs)
        if problem:
            return Ids(problem=problem)
    return Ids(named=tuple(dict.fromkeys(named)), repairs=tuple(dict.fromkeys(repairs)))


def _parts(text: str) -> list[str]:
    if _THOUSANDS.fullmatch(text) or _SCIENTIFIC.fullmatch(text) or _RANGE.fullmatch(text):
        return [text]
    # A word and the number behind it belong together: `decision 101`, `# 101`.
    text = re.sub(rf"(?<![\w/])(?:{_PREFIX.pattern})(?=\S)", "", text, flags=re.IGNORECASE)
    text = re.sub(r"(\d)\s*(–|—|\.\.)\s*(#?\d)", r"\1\2\3", text)
    return [part for part in _SEPARATOR.split(text.strip()) if part]


def _one(part: str, named: list[Named], repairs: list[str]) -> str:
    """Take one token; returns a key of `BAD_IDS`, or empty."""
    if _SCIENTIFIC.fullmatch(part):
        return "scientific"
    if _THOUSANDS.fullmatch(part):
        return "ambiguous-number"
    if found := _RANGE.fullmatch(part):
        first, last = int(found[1]), int(found[2])
        if not first <= last <= first + _LONGEST_RANGE:
            return "range"
        named += [Named(number=str(n)) for n in range(first, last + 1)]
        repairs.append("range")
        return ""
    if _CONVERSATION_WORD.match(part):
        return "conversation"
    bare = _PREFIX.sub("", part, count=1) if _PREFIX.match(part) else part
    if known := uid(bare):
        named.append(Named(uid=known))
        return ""
    number, dot, fraction = bare.partition(".")
    if not (number.isascii() and number.isdigit()):
        return "not-an-id"
    if dot:
        if fraction.strip("0"):
            return "not-whole" if fraction.isdigit() else "not-an-id"
        repairs.append("decimal")
    if len(number) > _LONGEST:
        return "too-long"
    if number != whole_number(number):
        repairs.append("leading-zeros")
    named.append(Named(number=whole_number(number)))
    return ""


@functools.lru_cache(maxsize=512)
def conversation(text: str) -> str:
    """A conversation with its system in front (`chatwoot:1045`); empty when there is none, the text when unsure."""
    text = text.strip()
    if not text or text.lower() in _NOTHING or _PLACEHOLDER.fullmatch(text):
        return ""
    if found := _IN_URL.search(text):
        return f"chatwoot:{whole_number(found[1])}"
    found = _CONVERSATION.fullmatch(text)
    if found is None:
        return text
    system = (found["system"] or "chatwoot").lower()
    if not found["system"] and not found["id"].isdigit():
        return text
    known = {"conversation": "chatwoot", "conv": "chatwoot", "ticket": "chatwoot"}
    return f"{known.get(system, system)}:{whole_number(found['id'])}"


@functools.lru_cache(maxsize=512)
def moment(text: str) -> Moment | None:
    """ISO 8601, with a blank for the `T`, `UTC` for the `Z`; without a zone it is UTC. Seconds and minutes may lack."""
    text = re.sub(r"\s*(?:UTC|GMT)$", "Z", text.strip())
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[T ]+(\d\d:\d\d)(:\d\d)?([.,]\d{1,9})?\s*(Z|[+-]\d\d:?\d\d)?)?",
        text,
        re.IGNORECASE,
    )
    if match is None:
        return None
    day, minutes, seconds, fraction, zone = match.groups()
    if fraction and not seconds:
        return None
    parts = f"{day}T{minutes or '00:00'}{seconds or ':00'}{(fraction or '').replace(',', '.')}"
    try:
        at = datetime.fromisoformat(parts + (zone or "Z").upper())
        since = at.astimezone(UTC) - _EPOCH
    except (ValueError, OverflowError):
        return None
    width = _DAY_MS if minutes is None else 60_000 if seconds is None else 1000 if fraction is None else 1
    return Moment(since // timedelta(milliseconds=1), width)


def statuses(text: str, *, exact: bool) -> tuple[tuple[str, str], ...]:
    """How deliveries ended, as (effect, STATUS) pairs; the effect is empty where none is named.

    `exact` reads a single word as a status; an outcome in prose has one only as `reply: SUCCESS`.
    """
    found = [
        (m[1], "PENDING" if m[2][0] == "s" else m[2]) for m in _EFFECT.finditer(text) if m[2].upper() in _SAID
    ]
    if found:
        return tuple(dict(found).items())
    word = text.strip().upper().replace(" ", "_").replace("-", "_")
    if _WORD.fullmatch(text.strip()) and (word in STATUS_WORDS) and (exact or text.strip().isupper()):
        return (("", word),)
    return ()


_SAID = STATUS_WORDS | {"SAVED, NOT YET SENT"}


def proofs(cell: str, *, markdown: bool, sha256: str = "") -> tuple[Proof, ...]:
    """The files a cell points at; addresses on the web are not files."""
    text = unicodedata.normalize("NFKC", cell)
    said = _SHA.search(text)
    sha = (sha256 or (said[1] if said else "")).lower()
    text = _SHA.sub(" ", text)
    paths = [found[2] for found in _LINK.finditer(text)]
    rest = _LINK.sub(" ", text)
    if markdown:
        paths += [m[1] for m in re.finditer(r"`([^`\s]+)`", rest) if "/" in m[1] or _EXTENSION.search(m[1])]
        rest = _ESCAPED.sub(r"\1", re.sub(r"`[^`]*`|\*\*", " ", rest))
    for token in re.split(r"[\s,;|]+|<br\s*/?>", rest):
        # A word is a file when it ends like one; in prose a slash says nothing (`Chatwoot/Supabase`).
        token = token.strip("()<>\"'*")
        bare = token.split("#", 1)[0]
        if _PATH.fullmatch(bare) and (bare.endswith("/") or _EXTENSION.search(bare)):
            paths.append(token)
    # What has a colon before its first slash is an address, or an id of another system.
    named = (path.split("#", 1)[0] for path in paths if ":" not in path.split("/", 1)[0])
    kept = dict.fromkeys(path for path in named if path)
    return tuple(Proof(path=path, sha256=sha if len(kept) == 1 else "") for path in kept)


#: Which fact a column holds, by its heading without case, blanks and signs; the first heading that fits wins.
_HEADINGS = {
    "uid": ("uid", "decisionuid", "decisionulid"),
    "decision": (
        "decisionid", "decision", "decisions", "decisionids", "decisionnumber", "decisionno", "supabaseid",
        "supabaseids", "decisionlogid", "decisionidsupabase", "supabasedecisionid", "decisionrow", "logid", "id", "ids",
    ),
    "at": ("timeutc", "time", "timestamputc", "timestamp", "at", "createdat", "decidedat", "when", "datetime", "date"),
    "actor": ("participant", "operator", "actor", "who", "operatoremail", "email", "by"),
    "conversation": (
        "conversation", "conversationid", "chatwootconversation", "chatwootid", "chatwoot", "externalref", "ticket",
    ),
    "action": ("action", "what", "decisionaction", "decisiontype", "decisionverb", "verb"),
    "status": ("status", "deliverystatus", "syncstatus", "state", "delivery", "outcome", "result"),
    "scope": ("scope",),
    "session": ("session", "sessionname"),
    "evidence": (
        "evidence", "evidencelink", "evidencelinks", "evidencepath", "evidencefile", "evidenceurl", "artifact",
        "artifacts", "screenshot", "proof", "file",
    ),
    "sha256": ("sha256", "filehash", "evidencehash", "evidencesha256", "hash"),
}  # fmt: skip
FIELD_OF = {heading: name for name, headings in _HEADINGS.items() for heading in headings}


def fields_of(headings: Sequence[str]) -> dict[str, int]:
    """Which column holds which fact, by its heading."""
    names = [re.sub(r"[^a-z0-9]", "", plain(h, markdown=True).lower()) for h in headings]
    out: dict[str, int] = {}
    for fact, known in _HEADINGS.items():
        for heading in known:
            if heading in names:
                out[fact] = names.index(heading)
                break
    return out


def usable(fields: dict[str, int]) -> bool:
    """The columns say which decision a row is about, or let it be found."""
    return "decision" in fields or "uid" in fields or {"conversation", "at"} <= fields.keys()


def heading_key(heading: str) -> str:
    """A heading without case, blanks and signs."""
    return re.sub(r"[^a-z0-9]", "", heading.lower())
