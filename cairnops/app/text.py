"""Text from outside where Streamlit would read it as Markdown: labels, titles, toasts."""

import re
import unicodedata

#: Unassigned, private, control and format characters: among them those that turn the reading direction.
_DROPPED = {"Cc", "Cf", "Co", "Cn", "Cs"}
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")
# A backslash stops neither an autolink nor a `:name:` directive, nor that `->` becomes an arrow and `--` a dash;
# a character without width inside it does.
_JOINER = "\u2060"
_OPENERS = re.compile(r"(:(?=[^\s\d]|\d+:)|@|www|-(?=[->])|<(?=[-=])|[>~](?==))", re.IGNORECASE)


def line(text: str) -> str:
    """`text` as one line without what cannot be seen: what turns the reading direction would turn our words too."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _DROPPED)


def plain(text: str, limit: int = 120) -> str:
    """`text` as one line that Markdown leaves alone and that looks the same, at most `limit` characters long.

    For labels, titles and toasts only: a body belongs into a component or `st.text`.
    """
    kept = line(text)
    if len(kept) > limit:
        kept = kept[: limit - 1].rstrip() + "…"
    return _MARKUP.sub(r"\\\1", _OPENERS.sub(rf"\1{_JOINER}", kept))
