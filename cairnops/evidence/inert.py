"""What of somebody else's text a terminal, a spreadsheet or a Markdown viewer would obey, and how it is made plain."""

import json
import re
import unicodedata

# Joiners belong to names in Indic scripts and to emoji, and reorder nothing.
_JOINERS = frozenset("\u200c\u200d")
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# A cell that starts with one of these is run as a formula; spreadsheets fold the full-width forms too.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _is_obeyed(c: str) -> bool:
    return c not in _JOINERS and unicodedata.category(c) in _OBEYED


def visible(text: object, *, keep: str = "") -> str:
    """Text in which every control, bidirectional or invisible character is written out (`\\x1b`, `\\u202e`).

    Characters in `keep` stay as they are; every kind of blank becomes a plain one.
    """
    out = []
    for c in str(text):
        if c in keep:
            out.append(c)
        elif _is_obeyed(c):
            out.append(f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}")
        else:
            out.append(" " if unicodedata.category(c) == "Zs" else c)
    return "".join(out)


def one_line(text: object) -> str:
    """`visible` text on one line: line ends and tabs become a blank."""
    return visible(" ".join(str(text).split()))


def markdown_cell(text: object) -> str:
    """Text that stays inside its cell of a Markdown table and is shown as it was written."""
    flat = one_line(text).replace("\\", "\\\\").replace("&", "&amp;")
    flat = re.sub(r"[|`<\[\]*~]", r"\\\g<0>", flat)
    # Inside a word an underscore is only itself; at its edge it begins emphasis.
    flat = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", flat)
    return flat.replace("://", "\\://").replace("www.", "www\\.")


def csv_cell(text: object) -> str:
    """Text no spreadsheet runs as a formula: what begins like one gets an apostrophe in front."""
    flat = visible(str(text), keep="\n")
    return f"'{flat}" if flat.lstrip().startswith(_FORMULA) else flat


def json_text(text: str) -> str:
    """JSON with such characters as `\\u` escapes: the same data, and nothing a terminal obeys."""
    return "".join(json.dumps(c)[1:-1] if c != "\n" and _is_obeyed(c) else c for c in text)
