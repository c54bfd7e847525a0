"""Writes the reference pages of cairnops/docs from the code; run by `make docs`, compared by a test."""

import dataclasses
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from cairnops import codec
from cairnops.analytics.columns import COLUMNS, PROBLEM_COLUMNS, Column
from cairnops.cli import wording
from cairnops.cli.exits import INTERRUPTED, PIPE_CLOSED
from cairnops.cli.rules import proofs
from cairnops.cli.tree import app
from cairnops.domain import catalogue
from cairnops.domain import policy as policies
from cairnops.errors import EXIT_CODES
from cairnops.settings import SETTINGS
from cairnops.telemetry.reader import REJECTS, REPAIRS

FOLDER = Path(__file__).resolve().parents[2] / "cairnops" / "docs"
_MADE = "<!-- Made by `make docs` from the code; changes here are overwritten. -->\n"

#: What a policy value is for, where its name does not say enough and the code has no comment at it.
MEANINGS = {
    "profile": "The profile the values start from.",
    "sla.business_hours": "Opening hours in one time zone; outside them the clocks stand still. None: always open.",
    "sla.first_response_minutes": "Target for the first public reply, minutes.",
    "sla.next_response_minutes": "Target for each further reply, minutes.",
    "sla.resolution_minutes": "Target for resolving the conversation, minutes.",
    "sla.breach_rate_warn_percent": "Breached share of open conversations from which the queue warns, percent.",
    "sla.breach_rate_critical_percent": "The same from which it is critical, percent.",
    "triage.p1_within_minutes": "How soon a P1 case is taken up, minutes.",
    "triage.p2_within_minutes": "How soon a P2 case is taken up, minutes.",
    "triage.p3_within_minutes": "How soon a P3 case is taken up, minutes.",
    "suggestions.matcher": "How words are looked for: as whole words, or anywhere inside words as the legacy desk did.",
    "suggestions.ship_words": "Words that call for the shipping template; a trailing `*` stands for any ending.",
    "suggestions.refund_words": "Words that call for the refund template; a trailing `*` stands for any ending.",
    "suggestions.ship_tags": "Tags that call for the shipping template.",
    "suggestions.refund_tags": "Tags that call for the refund template.",
    "suggestions.high_risk_words": "Words that call for a person before any template.",
    "suggestions.supervisor_words": "Words with which a customer asks for somebody above the operator.",
    "suggestions.promise_words": "Words with which a reply promises to come back to the customer.",
    "refund.tiers": "Above which order total a reply that offers money back needs, or tells, which role.",
    "labels.approve_button": "What the button that sends the reply is called.",
    "labels.escalate_button": "What the button that escalates is called.",
    "labels.resolve_button": "What the button that resolves is called.",
    "labels.cancel_button": "What the button that leaves everything as it is is called.",
    "escalation.reasons": "The reasons an operator may give.",
    "escalation.note_required": "Whether an escalation needs a note.",
    "escalation.acknowledge_minutes": "How soon whoever it goes to acknowledges it, minutes.",
    "escalation.update_hours": "How often the customer hears of it, hours.",
    "guardrails.no_ack_hours": "Silence of the customer after a reply from which a warning is due, hours.",
    "guardrails.repeat_breach_days": "How far back breaches of the same customer count, days.",
    "guardrails.repeat_breach_count": "How many of them warn.",
    "guardrails.rapid_reopen_minutes": "A conversation reopened within this long after resolving warns, minutes.",
    "guardrails.index_stale_hours": "The same from which it blocks, hours.",
    "guardrails.overridable": "Which blocks may be overridden, and by which role or above.",
    "delivery.max_attempts": "How often an effect is tried at most.",
    "alerts.failure_warn_percent": "Failure rate above which a summary warns, percent.",
    "alerts.failure_alert_percent": "Failure rate above which it is an alert, percent.",
    "alerts.p95_ms": "95th percentile of durations above which it is an alert, milliseconds.",
    "alerts.min_samples": "Below this many records a summary does not judge.",
    "measures.percentile": "How percentiles are computed: linear, nearest_rank or legacy_floor.",
}  # fmt: skip


@functools.cache
def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {
        "cli.md": _cli(),
        "rules.md": _rules(),
        "settings.md": _settings(),
        "policy.md": _policy(),
        "exit-codes.md": _exit_codes(),
        "columns.md": _columns(),
    }


def commands() -> Iterator[tuple[str, Any]]:
    """Every command as (`decisions list`, the command), in the order of the help."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        if not hasattr(command, "commands"):
            yield " ".join(path), command
            return
        if path and command.invoke_without_command:
            yield " ".join(path), command
        for name in command.list_commands(None):
            yield from walk(command.commands[name], (*path, name))

    yield from walk(get_command(app), ())


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    out += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(out) + "\n"


def _cell(value: object) -> str:
    text = " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
    return text if "`" in text else text.replace("*", "\\*")


def _cli() -> str:
    out = [
        f"# Commands\n\n{_MADE}\n`cairnops COMMAND --help` says the same; exit codes are in exit-codes.md.\n"
    ]
    for path, command in commands():
        text = inspect.cleandoc(command.callback.__doc__ or "")
        said, _, example = text.partition("Example: ")
        out.append(f"## {path}\n\n{wording.prose(said)}\n")
        hints = typing.get_type_hints(command.callback)
        rows = [(_names(p), _accepted(p, hints), p.help or "") for p in command.params if p.name != "help"]
        if rows:
            out.append(_table(("Argument or option", "Takes", "Meaning"), rows))
        out.append(f"```sh\n{example.strip()}\n```\n")
    return "\n".join(out)


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in parameter.opts)


def _accepted(parameter: Any, hints: dict[str, Any]) -> str:
    kind = hints[parameter.name]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    default = "" if parameter.default in (None, "", False) else f" (default {parameter.default})"
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(typing.get_args(kind)) + default
    if kind is bool:
        return "nothing"
    if typing.get_origin(kind) is list:
        return (parameter.metavar or "text") + ", may be repeated"
    plain = {str: "text", int: "a whole number", float: "a number", Path: "a path"}
    return (parameter.metavar or plain[kind]) + default


def _rules() -> str:
    out = [
        f"# Rules\n\n{_MADE}\n"
        "`block` stops the action, `warn` asks for thought, `info` only tells. "
        "`cairnops explain CODE` adds the threshold in force.\n"
    ]
    for entry in catalogue.ENTRIES:
        rule = entry.rule
        by = [o.role.value for o in policies.profile("dry-run").guardrails.overridable if o.code == rule.code]
        rows = [
            ("Severity", rule.severity.value),
            ("Threshold", f"`{rule.threshold}`" if rule.threshold else "none"),
            ("Override", f"{by[0]} or above, with a reason" if by else "nobody"),
            ("Way out", rule.way_out or "none"),
            ("Source", rule.source),
            ("Stands in", f"`{_without_line(entry.place)}`"),
            ("Proved by", ", ".join(f"`{p}`" for p in proofs(rule.code)) or "no scenario that ships"),
        ]
        if rule.severity.value != "block":
            rows = [row for row in rows if row[0] != "Override"]
        meaning = wording.prose(entry.meaning)
        said = "" if meaning == f"{rule.title}." else f"{meaning}\n\n"
        out.append(f"## {rule.code}\n\n{rule.title}.\n\n{said}{_table(('', ''), rows)}")
    return "\n".join(out)


def _without_line(place: str) -> str:
    # A line number would change this page with every edit above it.
    return re.sub(r":\d+", "", place)


def _settings() -> str:
    rows = [
        (
            f"`{s.name}`",
            _default(s.default),
            s.accepted,
            s.help + (" Never printed; `keyring:SERVICE` takes it from the keyring." if s.secret else ""),
            ", ".join(f"`{a}`" for a in s.aliases) or "none",
        )
        for s in SETTINGS
    ]
    head = ("Environment variable", "Default", "Accepted", "Meaning", "Also read as")
    return f"# Settings\n\n{_MADE}\n`cairnops settings` shows what is in force.\n\n{_table(head, rows)}"


def _default(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return "none" if value in ("", None) else value


def meanings() -> dict[str, str]:
    """What every policy value is for: the comment at it, else the table above."""
    out = dict(MEANINGS)
    for f in dataclasses.fields(policies.Policy):
        kind = f.default_factory if f.default_factory is not dataclasses.MISSING else None
        if kind is None:
            continue
        comment: list[str] = []
        for line in inspect.getsource(kind).splitlines():
            if said := re.match(r"    #: (.*)", line):
                comment.append(said[1])
            elif field := re.match(r"    (\w+): ", line):
                if comment:
                    out.setdefault(f"{f.name}.{field[1]}", " ".join(comment))
                comment = []
    return out


def _policy() -> str:
    known = meanings()
    values = {name: dict(policies.flatten(policies.profile(name))) for name in policies.PROFILES}
    out = [
        f"# Policy\n\n{_MADE}\n"
        "Every number, word list and label of the rules. `policy.yaml` of a workspace names a profile and the "
        "values that differ from it; `cairnops policy show` prints what is in force and who set it.\n"
    ]
    section = None
    rows: list[tuple[object, ...]] = []
    for key in values["dry-run"]:
        if key.partition(".")[0] != section:
            if rows:
                out.append(_table(("Key", *policies.PROFILES, "Meaning"), rows))
            section, rows = key.partition(".")[0], []
            out.append(f"## {section}\n")
        shown = [wording.value(codec.plain(values[name][key])) for name in policies.PROFILES]
        same = [shown[0], *("same" if text == shown[0] else text for text in shown[1:])]
        rows.append((f"`{key}`", *same, known.get(key, "")))
    out.append(_table(("Key", *policies.PROFILES, "Meaning"), rows))
    return "\n".join(out)


def _exit_codes() -> str:
    stopped = {
        INTERRUPTED: "stopped with Ctrl+C; what was committed stays",
        PIPE_CLOSED: "the reader of stdout closed its end (`| head`)",
    }
    rows = [(code, meaning) for code, meaning in {**EXIT_CODES, **stopped}.items()]
    return (
        f"# Exit codes\n\n{_MADE}\n"
        "stdout is data, stderr is narration: an error is one sentence on stderr, and what to do next.\n\n"
        f"{_table(('Code', 'Meaning'), rows)}"
    )


def _columns() -> str:
    def rows(columns: tuple[Column, ...]) -> list[tuple[object, ...]]:
        return [
            (f"`{c.name}`", c.type, c.unit or "", c.meaning, ", ".join(f"`{a}`" for a in c.aliases) or "")
            for c in columns
        ]

    head = ("Column", "Type", "Unit", "Meaning", "Looked for as, in this order")
    return (
        f"# Columns of a read export\n\n{_MADE}\n"
        "`read_export(path)` gives these whatever the export was written like; `strict=False` gives the problems "
        "beside them. `cairnops decisions convert` writes them as Parquet. A dot steps into an object; `m`, `s` and "
        "`ms` behind a duration are understood, seconds and milliseconds since 1970 as a time are too.\n\n"
        f"## Records\n\n{_table(head, rows(COLUMNS))}\n"
        f"## Problems\n\n{_table(head[:4], [row[:4] for row in rows(PROBLEM_COLUMNS)])}\n"
        f"## Reasons\n\n{_table(('Reason', 'Meaning'), [(f'`{k}`', v) for k, v in REJECTS.items()])}\n"
        f"## Repairs\n\n{_table(('Repair', 'Meaning'), [(f'`{k}`', v) for k, v in REPAIRS.items()])}"
    )


def main() -> int:
    """Write the pages that changed and say which."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
