"""What of somebody's raw text may be quoted in a report: a short piece, without people or secrets."""

import re

#: Longest quotation, in characters.
CAP = 200

# Keys under which customers' words and people's names travel; their values are replaced by a length.
_WORDS_OF_PEOPLE = re.compile(
    r'("(?:text|body|content|note|notes|name|customer|customerName|customer_name|replyBody|finalText'
    r'|suggestedText|suggestedReply|selectedReply|rationale|why)"\s*:\s*)"((?:[^"\\]|\\.)*)"?',
    re.IGNORECASE,
)
_SECRET_FIELD = re.compile(
    r'((?:token|secret|password|passwd|api[_-]?key|apikey|authorization|service[_-]?key)"?\s*[:=]\s*"?)'
    r'((?:bearer\s+|basic\s+)?[^\s"&,;}]+)',
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_KNOWN_SECRET = re.compile(r"\b(?:eyJ|sk-|sb_secret_|sbp_|gh[pousr]_|xox[abp]-|AKIA)[A-Za-z0-9._/+=-]{8,}")
_LONG_TOKEN = re.compile(r"(?=[A-Za-z0-9+/=_.-]*\d)(?=[A-Za-z0-9+/=_.-]*[A-Za-z])[A-Za-z0-9+/=_.-]{32,}")
# An id, not a secret: reconciliation needs it.
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONG_NUMBER = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){14,18}(?!\w|\.\d)")
# C0, DEL, C1, zero-width and bidirectional controls: a terminal or a reviewer's eye obeys them.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def mask(text: str) -> str:
    """`text` without e-mail addresses, secrets, card-like numbers, customers' words and control characters.

    Each is replaced by a bracketed word for what stood there, so a reader sees that something was cut.
    """
    text = _WORDS_OF_PEOPLE.sub(lambda m: f'{m[1]}"[text, {len(m[2])} characters]"', text)
    text = _SECRET_FIELD.sub(r"\1[secret]", text)
    text = _EMAIL.sub("[e-mail]", text)
    text = _KNOWN_SECRET.sub("[secret]", text)
    text = _LONG_TOKEN.sub(lambda m: m[0] if _UUID.fullmatch(m[0]) else "[token]", text)
    text = _LONG_NUMBER.sub("[number]", text)
    return _CONTROLS.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def preview(text: str, cap: int = CAP) -> str:
    """A quotation of at most `cap` characters, masked; `…` says that more followed."""
    # Masking a megabyte line to show 200 characters is wasteful; what is cut here cannot be shown anyway.
    masked = mask(text[: cap * 4])
    if len(masked) <= cap and len(text) <= cap * 4:
        return masked
    return masked[: cap - 1] + "…"
