"""What works behind the page: its style, news from the server, this tab's sign of life, words for screen readers."""

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict

from cairnops.app.components.mount import hear, register, styles

_ANNOUNCER = register("announcer")
_LIVE = register("live")
_NEWS = register("news")
_TOASTS = register("toasts")
_PERSON = register("person")
_HEARTBEAT = register("heartbeat")
_PAGE_STYLE = register("page_style", styles())


def page_style() -> None:
    """The style of every component, and what Streamlit's own parts of a page lack; once on every page."""
    _PAGE_STYLE(key="page_style")


def announcer(
    text: str,
    seq: int,
    *,
    due: int = 0,
    opens: Sequence[str] = (),
    on_open: Callable[[str, str], None] = lambda *_: None,
    key: str = "announcer",
) -> None:
    """Say `text` to screen readers, politely; the same text again when `seq` is another number.

    A `due` other than the one before draws the page's live part again. `on_open` hears of what is to be opened
    anywhere on the page, when it is of one of the kinds in `opens`: its kind, and its id.
    """
    _ANNOUNCER(
        key=key,
        data={"text": text, "seq": seq, "due": due, "opens": list(opens)},
        on_open_change=hear(key, "open", lambda sent: on_open(str(sent["kind"]), str(sent["what"]))),
    )


def news(version: str, on_change: Callable[[str], None], *, key: str = "news") -> None:
    """In the live part of a page, drawn from `version`: hears in place of `live` of every other version."""
    _NEWS(key=key, data={"version": version}, on_changed_change=hear(key, "changed", on_change))


class Toast(TypedDict):
    """A word in passing; a number is shown once in a browser."""

    seq: int
    text: str
    tone: Literal["good", "bad", "warn", "info"]


def toasts(items: Sequence[Toast], *, life_ms: int = 6000, key: str = "toasts") -> None:
    """Show the toasts that were not shown yet, above everything, for `life_ms` each; screen readers hear them."""
    _TOASTS(key=key, data={"items": list(items), "life_ms": life_ms})


def live(
    url: str, *, on_change: Callable[[str], None], version: str | None = None, key: str = "live"
) -> None:
    """Listen to the event stream at `url`; `on_change` is told a version other than the one before.

    Each event of the stream is a version in JSON. `version` is the one the page was drawn
    from; without it the first one heard counts as that. What comes within 80 ms is told once. A line that stays
    broken for three seconds is said on the page until it is back.
    """
    _LIVE(key=key, data={"url": url, "version": version}, on_changed_change=hear(key, "changed", on_change))


def heartbeat(url: str, tab: str, *, every_s: float = 5, key: str = "heartbeat") -> None:
    """POST `{"tab": tab}` to `url` now and every `every_s` seconds, and `{"tab", "gone": true}` when the page goes."""
    _HEARTBEAT(key=key, data={"url": url, "tab": tab, "every_ms": int(every_s * 1000)})


def person(email: str, role: str, note: str = "", *, key: str = "person") -> None:
    """Who is at the browser: initials, address, role, and what is special about the identity."""
    words = [w for w in email.partition("@")[0].replace("_", ".").replace("-", ".").split(".") if w]
    initials = "".join(w[0] for w in words[:2]).upper() or "?"
    _PERSON(key=key, data={"email": email, "initials": initials, "role": role, "note": note})
