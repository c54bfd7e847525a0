"""One record to read: its fields under their names, texts as they are, changes marked."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from cairnops.app.components.case import Stretch
from cairnops.app.components.mount import register

_RECORD = register("record")


class Field(TypedDict):
    """A field; with `diff`, the changes are drawn in place of `text`."""

    name: str
    text: str
    diff: NotRequired[Sequence[Stretch]]
    #: In a typewriter face, for codes and hashes.
    mono: NotRequired[bool]
    #: Set off as a text somebody wrote.
    quoted: NotRequired[bool]


def record(fields: Sequence[Field], *, key: str, label: str, show_label: bool = True) -> None:
    """Draw the fields in their order; `label` is the heading, for screen readers alone without `show_label`."""
    _RECORD(key=key, data={"fields": list(fields), "label": label, "show_label": show_label})
