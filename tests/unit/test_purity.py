"""The domain reads no clock, does no I/O and rolls no dice: held by its imports, its calls and its names."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import cairnops.domain

DOMAIN = Path(cairnops.domain.__file__).parent

#: What a rule may be made of. `ast` parses gate conditions, `inspect` reads rule docstrings, `zoneinfo`
#: knows when the clocks change; none of them looks at the present moment.
ALLOWED = {
    "ast", "base64", "binascii", "bisect", "collections", "dataclasses", "datetime", "difflib", "enum", "functools",
    "hashlib", "inspect", "itertools", "json", "re", "typing", "unicodedata", "zoneinfo",
}  # fmt: skip

#: Built-in functions that reach outside, or run what they are given.
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "compile", "breakpoint", "__import__"}

#: What dates and times are asked to learn the present moment or the zone of this machine. A case's own
#: `now` is an argument and stays allowed.
CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp"}


def faults(package: Path) -> list[str]:
    """Everything impure in a package's modules, as `module:line what`."""
    found = []
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found += [f"{file.name}:{line} {what}" for line, what in _faults(tree)]
    return found


def _faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    times = {"datetime", "date"} | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "datetime"
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.partition(".")[0] not in ALLOWED and not _ours(alias.name):
                        yield node.lineno, f"imports {alias.name}"
            case ast.ImportFrom(module=module, level=level):
                name = module or ""
                if level or (name.partition(".")[0] not in ALLOWED and not _ours(name)):
                    yield node.lineno, f"imports {'.' * level}{name}"
            case ast.Name(id=name) if name in FORBIDDEN_CALLS:
                yield node.lineno, f"uses {name}"
            case ast.Attribute(value=ast.Name(id=base) | ast.Attribute(attr=base), attr=name) if (
                name in CLOCKS and base in times
            ):
                yield node.lineno, f"asks for .{name}"
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                yield node.lineno, f"calls .{name}()"
            case ast.Global() | ast.Nonlocal():
                yield node.lineno, "keeps state"


def _ours(name: str) -> bool:
    return name == "cairnops.domain" or name.startswith("cairnops.domain.")


def test_the_domain_is_pure() -> None:
    assert len(list(DOMAIN.glob("*.py"))) > 15
    assert faults(DOMAIN) == []


def test_no_import_is_allowed_that_nobody_needs() -> None:
    used = set()
    for file in DOMAIN.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                used.add(node.module.partition(".")[0])
    assert used - {"cairnops"} == ALLOWED


@pytest.mark.parametrize(
    ("line", "what"),
    [
        pytest.param("import os", "imports os", id="os"),
        pytest.param("import os.path as p", "imports os.path", id="a part of os under another name"),
        pytest.param("from os import environ", "imports os", id="the environment"),
        pytest.param("import time", "imports time", id="time"),
        pytest.param("from time import monotonic", "imports time", id="a counter"),
        pytest.param("import random", "imports random", id="random"),
        pytest.param("import uuid", "imports uuid", id="uuid"),
        pytest.param("import secrets", "imports secrets", id="secrets"),
        pytest.param("import logging", "imports logging", id="logging"),
        pytest.param("from pathlib import Path", "imports pathlib", id="paths"),
        pytest.param("import pydantic", "imports pydantic", id="a library"),
        pytest.param("from cairnops import codec", "imports cairnops", id="a layer above"),
        pytest.param(
            "from cairnops.desk.desk import Desk", "imports cairnops.desk.desk", id="two layers above"
        ),
        pytest.param("from . import sla", "imports .", id="a relative import"),
        pytest.param("def f():\n    import socket", "imports socket", id="an import inside a function"),
        pytest.param("print('hello')", "uses print", id="print"),
        pytest.param("tell = print", "uses print", id="print under another name"),
        pytest.param("open('x')", "uses open", id="open"),
        pytest.param("input()", "uses input", id="input"),
        pytest.param("exec('1')", "uses exec", id="exec"),
        pytest.param("eval('1')", "uses eval", id="eval"),
        pytest.param("__import__('os')", "uses __import__", id="a hidden import"),
        pytest.param("from datetime import datetime\nprior = datetime.now", "asks for .now", id="now"),
        pytest.param("import datetime as d\nprior = d.datetime.utcnow", "asks for .utcnow", id="utcnow"),
        pytest.param("from datetime import date as day\nprior = day.today", "asks for .today", id="today"),
        pytest.param("def f(clock):\n    return clock.now()", "calls .now()", id="a clock handed in"),
        pytest.param("def f():\n    global x\n    x = 1", "keeps state", id="a global"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, line: str, what: str) -> None:
    copy = tmp_path / "domain"
    shutil.copytree(DOMAIN, copy, ignore=shutil.ignore_patterns("__pycache__"))
    module = copy / "sla.py"
    before = module.read_text(encoding="utf-8")
    module.write_text(f"{before}\n{line}\n", encoding="utf-8")
    found = faults(copy)
    assert len(found) == 1
    assert found[0].startswith("sla.py:") and found[0].endswith(what)
