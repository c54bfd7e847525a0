"""Where the values stand in JSON that was written over several lines, and which lines are only its brackets."""

import re
from typing import NamedTuple

from cairnops.telemetry.jsontext import parse, parse_first

BLANK, STRUCTURE, CONTENT = 0, 1, 2

# `[2025-10-10] starting` is a log line, not an array.
_OPENS_ARRAY = r"\[\s*(?:$|[{\[\"])"
_OPENS_AND_GOES_ON = r"[{\[,:]\s*$"
_OBJECT_LINE = r"(?m)^([ \t]*),?[ \t]*\{"


class Value(NamedTuple):
    """One value, or one stretch of text that could not be read as one (`problem` is set)."""

    #: Offsets into the text, and the physical lines they lie on, from 1.
    start: int
    end: int
    first: int
    last: int
    value: object = None
    problem: str = ""
    in_array: bool = False
    repairs: tuple[str, ...] = ()


class Found:
    """Every value of a document; `lines` holds one of BLANK, STRUCTURE, CONTENT for each physical line."""

    def __init__(self, lines: bytearray):
        self.lines = lines
        self.values: list[Value] = []
        #: `array` or `object` when the document is just that, else `sequence`.
        self.shape = "sequence"


def spans_lines(head: str) -> bool:
    """Whether a file that starts like this is JSON over several lines, rather than one value a line.

    An array that does not end on its first line is. An object that does not is, unless some later
    line is a complete object of its own: then the first line is merely broken.
    """
    lines = head.split("\n")
    index, first = next(((i, line.strip()) for i, line in enumerate(lines) if line.strip()), (0, ""))
    if first[:1] not in ("{", "[") or _is_json(first.rstrip(",")):
        return False
    if index == len(lines) - 1:
        # One unfinished line, or one longer than what was looked at.
        return False
    if first[0] == "[":
        return bool(re.match(_OPENS_ARRAY, first)) and not first.rstrip(",").endswith("]")
    if not re.search(_OPENS_AND_GOES_ON, first):
        return False
    return not any(line.startswith("{") and _is_json(line.strip()) for line in lines[index + 1 :])


def values(text: str) -> Found:
    """Take a document apart: the elements of its array, or its objects one after another.

    An element that cannot be read becomes a stretch with a problem, up to the next line that opens
    an object no deeper than it; the elements after it are not lost.
    """
    found = Found(bytearray(_kinds(text)))
    count = _Lines(text)
    at = skip(text, 0, " \t\r\n")
    array = text.startswith("[", at)
    closed = False
    tops = 0
    if array:
        at += 1
    while (at := skip(text, at, " \t\r\n,")) < len(text):
        if array and not closed and text[at] == "]":
            closed = True
            at += 1
            continue
        in_array = array and not closed
        tops += not in_array
        start = at
        problem, value, repairs = "", None, ()
        try:
            value, at, repairs = parse_first(text, at)
        except RecursionError:
            problem = "too-deep"
        except ValueError as error:
            problem = "malformed"
            unfinished = getattr(error, "pos", 0) >= len(text.rstrip()) or "Unterminated" in str(error)
            if unfinished and text[start] in "{[":
                problem = "truncated"
        if problem:
            at = _next_object(text, start)
        end = len(text[start:at].rstrip()) + start
        first, last = count.line(start), count.line(end - 1)
        found.values.append(
            Value(
                start=start, end=end, first=first, last=last, value=value, problem=problem,
                in_array=in_array, repairs=repairs,
            )
        )  # fmt: skip
        for line in range(first, last + 1):
            if found.lines[line - 1] != BLANK:
                found.lines[line - 1] = CONTENT
    if array and not tops:
        found.shape = "array"
    elif not array and tops == 1:
        found.shape = "object"
    return found


def opens_array(text: str) -> bool:
    """Whether `text` starts like an array of objects, not like a bracketed word."""
    return bool(re.match(r"\[\s*[{\[]", text))


def skip(text: str, at: int, what: str) -> int:
    """The first position from `at` on that holds none of the characters in `what`."""
    while at < len(text) and text[at] in what:
        at += 1
    return at


def _is_json(line: str) -> bool:
    try:
        parse(line, non_finite_as_null=True)
    except (ValueError, RecursionError):
        return False
    return True


def _kinds(text: str) -> list[int]:
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return [STRUCTURE if line.strip() else BLANK for line in lines]


def _next_object(text: str, start: int) -> int:
    line_start = text.rfind("\n", 0, start) + 1
    depth = len(text[line_start:start]) - len(text[line_start:start].lstrip(" \t"))
    end_of_line = text.find("\n", start)
    if end_of_line < 0:
        return len(text)
    for match in re.compile(_OBJECT_LINE).finditer(text, end_of_line + 1):
        if len(match[1]) <= depth:
            return match.start()
    return len(text)


class _Lines:
    """Line numbers of rising offsets, without counting from the top each time."""

    def __init__(self, text: str):
        self._text, self._at, self._line = text, 0, 1

    def line(self, at: int) -> int:
        self._line += self._text.count("\n", self._at, at)
        self._at = max(at, self._at)
        return self._line
