"""The reply templates, and what a variable nobody knows looks like in the text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SLOT = re.compile(r"\{\{([^{}]*)\}\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A reply with slots: `{{ name }}`, blanks inside the braces do not matter."""

    id: str
    title: str
    text: str
    #: The slots of the text, in order of appearance.
    variables: tuple[str, ...] = ("name",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A template with its values put in."""

    text: str
    #: The values that were used.
    variables: dict[str, str]
    #: Slots without a value, in order; each stands in the text as `[slot?]`.
    missing: tuple[str, ...]


# What the texts promise is worded so that the policy's promise words find it: a case resolved on one of
# them still owes the customer a message.
TEMPLATES: tuple[Template, ...] = (
    Template(
        id="ack_delay",
        title="Acknowledge the delay",
        text=(
            "Hi {{name}}, thank you for waiting, and I'm sorry this is taking longer than it should. "
            "I'm looking into it now and will follow up here with a clear answer."
        ),
    ),
    Template(
        id="ship_update",
        title="Shipping update",
        text=(
            "Hi {{name}}, thanks for asking about your delivery. I'm checking with the carrier where it is "
            "right now and will follow up here with the tracking details as soon as I have them."
        ),
    ),
    Template(
        id="refund_offer",
        title="Refund offer",
        text=(
            "Hi {{name}}, I'm sorry about the trouble with your order. I can offer you a refund, a "
            "replacement or store credit. Tell me which you prefer and I'll start it straight away."
        ),
    ),
)


def get(template_id: str) -> Template:
    """The template of that id.

    Raises:
        KeyError: when there is none.
    """
    return {template.id: template for template in TEMPLATES}[template_id]


def render(template: Template, values: Mapping[str, str]) -> Rendered:
    """Put values into the slots; one that is unknown or blank stays visible as `[slot?]`.

    Values are put in as they are and never read as template text themselves.
    """
    used: dict[str, str] = {}
    missing: list[str] = []

    def fill(slot: re.Match[str]) -> str:
        key = slot[1].strip()
        value = values.get(key, "")
        if value.strip():
            used[key] = value
            return value
        if key not in missing:
            missing.append(key)
        return f"[{key}?]"

    text = _SLOT.sub(fill, template.text)
    return Rendered(text=text, variables=used, missing=tuple(missing))


def render_legacy(text: str, values: Mapping[str, str]) -> str:
    """Render as the legacy dashboard does: no name becomes "Customer", any other gap becomes nothing.

    For comparison only. Replies that went out to "Customer" or with a hole in them are why `render`
    shows what is missing.
    """
    known = {**values, "name": values.get("name") or "Customer"}
    return _SLOT.sub(lambda slot: known.get(slot[1].strip(), ""), text)
