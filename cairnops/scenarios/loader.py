"""How a pack is found and read, and what is said, with file and line, when it cannot be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cairnops.errors import PackError
from cairnops.scenarios.model import Pack
from cairnops.scenarios.schema import keys_at

#: A pack is read by people; anything larger is something else.
MAX_BYTES = 2_000_000

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """One thing wrong with a pack file."""

    #: `yaml`, `unknown_key`, `missing`, `duplicate_key` or `value`.
    kind: str
    #: Dotted path (`scenarios[0].expect`); empty when the file could not be read that far.
    where: str
    #: From 1; None when it is nowhere in particular.
    line: int | None
    column: int | None
    message: str
    hint: str = ""


class PackInvalid(PackError):
    """The scenario pack does not say what a pack must say."""

    def __init__(self, source: str, complaints: tuple[Complaint, ...]):
        self.source = source
        self.complaints = complaints
        shown = [self._sentence(c) for c in complaints[:5]]
        if len(complaints) > 5:
            shown.append(f"… and {len(complaints) - 5} more")
        super().__init__("\n".join(shown), hint=next((c.hint for c in complaints if c.hint), ""))

    def _sentence(self, complaint: Complaint) -> str:
        place = ":".join(str(x) for x in (self.source, complaint.line, complaint.column) if x is not None)
        return f"{place}: {complaint.where + ': ' if complaint.where else ''}{complaint.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PackInfo:
    """A shipped pack, as a list shows it."""

    #: What `load_pack` takes.
    name: str
    title: str
    summary: str
    version: str
    minutes: int
    #: (id, letter or empty, title) of each scenario.
    scenarios: tuple[tuple[str, str, str], ...]


def load_pack(name_or_path: str | Path) -> Pack:
    """Read a shipped pack by its name, or a pack file by its path.

    Raises:
        PackError: when there is no such pack, or it cannot be read.
        PackInvalid: (a PackError) with every complaint, each with line and dotted path.
    """
    source, data = read_source(name_or_path)
    return parse_pack(data, source)


def read_source(name_or_path: str | Path) -> tuple[str, bytes]:
    """The name to show for a pack, and its bytes; see `load_pack`."""
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in _shipped_names():
        return f"{text}.yaml", _folder().joinpath(f"{text}.yaml").read_bytes()
    path = Path(name_or_path)
    if not path.exists():
        close = get_close_matches(path.stem, _shipped_names(), n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise PackError(
            f"There is no pack called {text}, and no such file.",
            hint=f"{meant}Shipped packs: {', '.join(_shipped_names())}; or give the path of a YAML file.",
        )
    if path.is_dir():
        raise PackError(f"{text} is a folder.", hint="Give the path of one pack file.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PackError(f"{text} has more than {MAX_BYTES} bytes.", hint="Split it into several packs.")
        return text, path.read_bytes()
    except OSError as error:
        raise PackError(f"{text} cannot be read: {error.strerror}.", hint="Check its permissions.") from None


def shipped() -> list[PackInfo]:
    """The packs that come with cairnops, by name."""
    out: list[PackInfo] = []
    for name in _shipped_names():
        pack = load_pack(name)
        out.append(
            PackInfo(
                name=name,
                title=pack.title,
                summary=pack.summary,
                version=pack.version,
                minutes=pack.minutes,
                scenarios=tuple((s.id, s.letter or "", s.title) for s in pack.scenarios),
            )
        )
    return out


def parse_pack(data: bytes, source: str) -> Pack:
    """Read a pack from the bytes of its file; `source` is how messages call it.

    Raises:
        PackInvalid: as `load_pack`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        _yaml_complaint(source, "this is not UTF-8 text", line, None, "Save the file as UTF-8.")
    document, marks = _read_yaml(text, source)
    if not isinstance(document, dict):
        found = "empty" if document is None else f"a {_yaml_word(document)}"
        _yaml_complaint(
            source, f"a pack is a mapping of keys, this file is {found}", 1, None, "Begin with `id: my-pack`."
        )
    try:
        return Pack.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise PackInvalid(source, tuple(_complaint(d, marks) for d in found if not _echo(d, found))) from None


def _folder() -> Any:
    return resources.files("cairnops.scenarios").joinpath("packs")


@cache
def _shipped_names() -> tuple[str, ...]:
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


class _Loader(yaml.SafeLoader):
    """YAML with fewer surprises: `no`, `off` and `1:30` stay text, and a key given twice is an error."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]+", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _read_yaml(text: str, source: str) -> tuple[Any, dict[Path_, tuple[int, int]]]:
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, {}
        marks: dict[Path_, tuple[int, int]] = {}
        complaints = tuple(_walk(node, (), marks, set()))
        if complaints:
            raise PackInvalid(source, complaints)
        return loader.construct_document(node), marks
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        hint = "Put texts with a colon, a # or a quote in quotes; indent with spaces, never tabs."
        _yaml_complaint(source, f"this is not YAML: {said}", line, column, hint)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        _yaml_complaint(
            source, "there is a character YAML does not allow", line, None, "Remove the control character."
        )
    except ValueError as error:
        _yaml_complaint(source, f"a value cannot be read: {error}", None, None, "Put it in quotes.")
    except RecursionError:
        _yaml_complaint(source, "it is nested too deeply", None, None, "A pack needs about ten levels.")


def _walk(
    node: yaml.Node, path: Path_, marks: dict[Path_, tuple[int, int]], seen: set[int]
) -> Iterator[Complaint]:
    """Note where every value stands; complain about keys given twice, keys that are not text, and aliases."""
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    marks.setdefault(path, (line, column))
    if id(node) in seen:
        # An alias can unfold a kilobyte into gigabytes, and a reader has to jump around to follow it.
        yield _at("value", path, line, column, "aliases (`*name`) are not used in packs", "Write it out.")
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, index), marks, seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key, yaml.ScalarNode):
                yield _at("value", path, line, column, "a key must be a word", "")
                continue
            if key.value in first:
                message = f"`{key.value}` stands here twice (first in line {first[key.value]})"
                yield _at("duplicate_key", path, line, column, message, "Keep one of them.")
            first.setdefault(key.value, line)
            marks[*path, key.value] = (line, column)
            yield from _walk(value, (*path, key.value), marks, seen)


def _echo(details: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """A list is called too short once none of its items could be read; the items' own complaints say enough."""
    loc = details["loc"]
    return details["type"] == "too_short" and any(
        other["loc"][: len(loc)] == loc for other in found if other is not details
    )


def _complaint(details: ErrorDetails, marks: dict[Path_, tuple[int, int]]) -> Complaint:
    loc: Path_ = tuple(details["loc"])
    kind, message, hint = "value", details["msg"].removeprefix("Value error, "), ""
    given = details.get("input")
    match details["type"]:
        case "extra_forbidden":
            word, known = str(loc[-1]), keys_at(loc[:-1])
            kind, message = "unknown_key", f"unknown key `{word}`"
            close = get_close_matches(word, known, n=1, cutoff=0.5)
            if close:
                hint = f"Did you mean `{close[0]}`?"
                message += f"; did you mean `{close[0]}`?"
            else:
                hint = f"Known here: {', '.join(known)}."
        case "missing":
            kind, message, loc = "missing", f"`{loc[-1]}` is missing", loc[:-1]
        case "string_type" if isinstance(given, int | float):
            message, hint = f"{given} must be text", f'Put it in quotes: "{given}".'
        case "string_type" if given is None:
            message, hint = "this is empty and must be text", "Write the text, or leave the key out."
        case "string_pattern_mismatch":
            message = f"{given!r} is not accepted ({message[0].lower()}{message[1:]})"
        case "literal_error" | "enum":
            expected = str((details.get("ctx") or {}).get("expected", ""))
            accepted = re.findall(r"'([^']*)'", expected)
            message = f"{given!r} is not one of {expected}"
            close = get_close_matches(str(given), accepted, n=1)
            hint = f"Did you mean `{close[0]}`?" if close else ""
        case "model_type" | "model_attributes_type" | "dict_type":
            message = f"keys are expected here, not {_yaml_word(given)}"
            known = keys_at(loc)
            hint = f"Known here: {', '.join(known)}." if known else ""
        case "tuple_type":
            message, hint = f"a list is expected here, not {_yaml_word(given)}", "Begin each item with `- `."
        case _:
            message = message[:1].lower() + message[1:]
    place = loc
    while place and place not in marks:
        place = place[:-1]
    line, column = marks.get(place, (None, None))
    if kind == "unknown_key":
        loc = loc[:-1]
    real = tuple(segment for n, segment in enumerate(loc) if loc[: n + 1] in marks or n == len(loc) - 1)
    return _at(kind, real, line, column, message, hint)


def _at(kind: str, path: Path_, line: int | None, column: int | None, message: str, hint: str) -> Complaint:
    return Complaint(kind=kind, where=dotted(path), line=line, column=column, message=message, hint=hint)


def dotted(path: Path_) -> str:
    """`("scenarios", 0, "expect")` as people write it: `scenarios[0].expect`."""
    out = ""
    for segment in path:
        out += f"[{segment}]" if isinstance(segment, int) else f"{'.' if out else ''}{segment}"
    return out


def _yaml_word(value: object) -> str:
    if value is None:
        return "nothing"
    return {dict: "mapping", list: "list", str: "text", bool: "true/false"}.get(type(value), "number")


def _yaml_complaint(source: str, message: str, line: int | None, column: int | None, hint: str) -> NoReturn:
    complaint = Complaint(kind="yaml", where="", line=line, column=column, message=message, hint=hint)
    raise PackInvalid(source, (complaint,)) from None
