"""What of somebody's raw text may be quoted in a report: a short piece, without people or secrets."""

import functools
import re
from collections.abc import Callable

#: Longest quotation, in characters.
CAP = 200

#: The shortest secret and the shortest number of a telephone or a card that the patterns know, in characters.
_SECRET, _NUMBER = 11, 12


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]:
    """What is cut, in this order, and what stands in its place."""
    # Keys under which customers' words and people's names travel; their values are replaced by a length.
    words_of_people = re.compile(
        r'("(?:text|body|content|note|notes|name|customer|customerName|customer_name|replyBody|finalText'
        r"|suggestedText|suggestedReply|selectedReply|rationale|why|subject|question|address|phone|phone_?number"
        r'|(?:first|last|full)_?name)"\s*:\s*)"((?:[^"\\]|\\.)*)"?',
        re.IGNORECASE,
    )
    secret_field = re.compile(
        r'((?:token|secret|password|passwd|api[_-]?key|apikey|authorization|service[_-]?key)"?\s*[:=]\s*"?)'
        r'((?:bearer\s+|basic\s+)?[^\s"&,;}]+)',
        re.IGNORECASE,
    )
    email = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
    known_secret = re.compile(r"\b(?:eyJ|sk-|sb_secret_|sbp_|gh[pousr]_|xox[abp]-|AKIA)[A-Za-z0-9._/+=-]{8,}")
    long_token = re.compile(r"(?=[A-Za-z0-9+/=_.-]*\d)(?=[A-Za-z0-9+/=_.-]*[A-Za-z])[A-Za-z0-9+/=_.-]{32,}")
    # An id, not a secret: reconciliation needs it.
    uuid = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
    long_number = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){14,18}(?!\w|\.\d)")
    # With a country's code, or in the groups of three, three and four.
    telephone = re.compile(
        r"(?<![\w.+-])(?:\+\d(?:[ ()./-]{0,2}\d){6,14}|\(?\d{3}\)?[ -]\d{3}[ -]\d{4})(?![\w-])"
    )
    # C0, DEL, C1, zero-width and bidirectional controls: a terminal or a reviewer's eye obeys them.
    controls = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
    return (
        (words_of_people, lambda m: f'{m[1]}"[text, {len(m[2])} characters]"'),
        (secret_field, r"\1[secret]"),
        (email, "[e-mail]"),
        (known_secret, "[secret]"),
        (long_token, lambda m: m[0] if uuid.fullmatch(m[0]) else "[token]"),
        (long_number, "[number]"),
        (telephone, "[phone]"),
        (controls, lambda m: f"\\u{ord(m[0]):04x}"),
    )


def _is_plain(text: str) -> bool:
    """Short words only, as most of what is quoted is: there is nothing to cut, and nobody waits for the patterns."""
    allowed = str.isalnum if len(text) < _NUMBER else str.isalpha
    return all(len(word) < _SECRET and allowed(word.replace("_", "") or "a") for word in text.split(" "))


def mask(text: str) -> str:
    """`text` without e-mail addresses, secrets, card-like numbers, customers' words and control characters.

    Each is replaced by a bracketed word for what stood there, so a reader sees that something was cut.
    """
    if _is_plain(text):
        return text
    for pattern, instead in _patterns():
        text = pattern.sub(instead, text)
    return text


def preview(text: str, cap: int = CAP) -> str:
    """A quotation of at most `cap` characters, masked; `…` says that more followed."""
    # Masking a megabyte line to show 200 characters is wasteful; what is cut here cannot be shown anyway.
    masked = mask(text[: cap * 4])
    if len(masked) <= cap and len(text) <= cap * 4:
        return masked
    return masked[: cap - 1] + "…"
