"""The report page: nothing from outside runs or loads, every figure leads to exactly the rows it counts."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from cairnops.analytics import inputs
from cairnops.domain import policy as policies
from cairnops.evidence import charts, exports, report
from cairnops.settings import Settings
from cairnops.workspace import Workspace

from .conftest import Cli, child

SAMPLE = Path(__file__).resolve().parents[2] / "fixtures" / "exports" / "decision_sync_sample.ndjson"
POLICY = policies.profile("dry-run")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

HOSTILE = [
    pytest.param("<script>alert(1)</script>", id="a script"),
    pytest.param('"><img src=x onerror=alert(1)>', id="out of an attribute"),
    pytest.param("</title><svg onload=alert(1)>", id="out of the title"),
    pytest.param("a b&breached=yes|no#x?y=z", id="what anchors are made of"),
    pytest.param("\u202egnp.exe \x1b[2J\x00", id="characters that turn and hide"),
    pytest.param("{{7*7}} ${x} %3Cscript%3E javascript:alert(1)", id="templates and escapes"),
]  # fmt: skip


class Page(HTMLParser):
    """What a browser would see: tags, ids, links, rows with their tokens."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.rows: dict[str, list[set[str]]] = {}
        self.words: list[str] = []
        self._table = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "section":
            self._table = given.get("data-rows", "")
        if tag == "tr" and "data-t" in given:
            self.rows.setdefault(self._table, []).append(set(given["data-t"].split()))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def ids(self) -> list[str]:
        return [given["id"] for _, given in self.tags if "id" in given]

    @property
    def links(self) -> list[dict[str, str]]:
        return [given for tag, given in self.tags if tag == "a"]

    def found(self, anchor: str) -> int:
        """How many rows an anchor selects, as the page's script selects them."""
        table, _, query = anchor.partition("?")
        clauses = [clause.partition("=") for clause in query.split("&")]
        return sum(
            all(any(f"{name}={value}" in row for value in values.split("|")) for name, _, values in clauses)
            for row in self.rows[table]
        )


def rows(workspace: Path) -> list[dict[str, Any]]:
    """Everything in a workspace, as exports have it."""
    out = []
    opened = Workspace.open(workspace, Settings({}))
    try:
        for shape in ("decisions", "sync-events", "conversations"):
            out += exports.rows(opened.ledger, shape)  # type: ignore[arg-type]
    finally:
        opened.close()
    return out


def made(given: list[dict[str, Any]], title: str = "Demo") -> str:
    material = inputs.of_rows(given)
    assert material.newest
    sync = report.summary_of_rows((r for r in given if inputs.shape_of(r) == "sync event"), POLICY)
    figures = report.measure(material, POLICY, material.newest, title=title, sync=[sync] if sync else [])
    return report.page(figures)


@pytest.fixture(scope="session")
def library(once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Both shipped packs, played: every kind of row a page shows."""

    def play(root: Path) -> None:
        for pack in ("cx-escalations", "practice-library"):
            done = child("dryrun", "run", "-p", pack, "-w", root)
            assert done.code == 0, done.err

    root = tmp_path_factory.mktemp("library") / "w"
    shutil.copytree(once("library", play), root)
    return rows(root)


@pytest.fixture(scope="session")
def whole(library: list[dict[str, Any]]) -> str:
    """The page over both packs."""
    return made(library)


def test_every_figure_leads_to_exactly_the_rows_it_counts(whole: str) -> None:
    page = Page(whole)
    counted = [link for link in page.links if "data-n" in link]
    assert len(counted) > 40
    wrong = {
        link["href"]: link["data-n"]
        for link in counted
        if page.found(link["href"][1:]) != int(link["data-n"])
    }
    assert wrong == {}
    assert {link["href"][1:].partition("?")[0] for link in counted} >= {
        "conversations",
        "decisions",
        "spans",
        "runs",
        "deliveries",
    }


@pytest.mark.parametrize(
    "anchor",
    [
        pytest.param("#conversations?conversation_created=yes&last_customer_message=yes", id="both clocks"),
        pytest.param("#runs?raised=refund.above_tier&answer=right|acceptable|wrong", id="a guardrail raised"),
        pytest.param("#runs?silent=refund.above_tier&answer=right|acceptable|wrong", id="a guardrail silent"),
        pytest.param("#deliveries?class=success", id="delivered"),
        pytest.param("#deliveries?status=TIMEOUT", id="a status"),
        pytest.param("#deliveries?cause=ETIMEDOUT", id="an error"),
        pytest.param("#deliveries?timed=yes", id="durations"),
    ],
)
def test_no_part_of_the_page_keeps_its_rows_to_itself(whole: str, anchor: str) -> None:
    page = Page(whole)
    counts = [int(link["data-n"]) for link in page.links if link.get("href") == anchor and "data-n" in link]
    assert counts and counts[0] == page.found(anchor[1:]) > 0


def test_a_delivery_shows_what_the_figures_say_of_it(whole: str) -> None:
    rows = re.findall(r"<tr data-t=\"class=failure.*?</tr>", whole)
    assert rows and all("ETIMEDOUT" in row for row in rows)
    assert all(re.search(r'data-v="\d+\.\d+">[\d,.]+</td><td class=n data-v="2"', row) for row in rows)


def test_every_link_and_every_mark_of_a_chart_has_its_place_in_the_page(
    whole: str,
) -> None:
    page = Page(whole)
    inner = [link.get("href") or link.get("xlink:href", "") for link in page.links]
    assert all(href.startswith("#") for href in inner)
    assert {href[1:] for href in inner} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert sum("xlink:href" in link for link in page.links) > 50


def test_the_page_loads_nothing_and_runs_only_its_own_script(whole: str) -> None:
    text, page = whole, Page(whole)
    assert set(re.findall(r"[a-z]+://[^\"'<> ]+", text)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not [tag for tag, given in page.tags if tag in ("link", "iframe", "img", "base") or "src" in given]
    script = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert len(script) == 1
    hashed = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    allowed = next(
        given["content"] for tag, given in page.tags if given.get("http-equiv") == "Content-Security-Policy"
    )
    assert f"script-src 'sha256-{hashed}'" in allowed
    assert allowed.startswith("default-src 'none'")
    for needed in ("prefers-color-scheme:dark", "@media print"):
        assert needed in text


def _everywhere(value: Any, text: str, names: Mapping[str, None]) -> Any:
    if isinstance(value, dict):
        return {
            k: text if k in names and isinstance(v, str) else _everywhere(v, text, names)
            for k, v in value.items()
        }
    return [_everywhere(v, text, names) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_shown_and_never_obeyed(
    whole: str, library: list[dict[str, Any]], text: str
) -> None:
    names = dict.fromkeys(
        ("customer", "email", "operator", "team", "session", "scenario", "override", "verb", "errorCode")
    )
    given = [_everywhere(row, text, names) for row in library]
    page = Page(made(given, title=text))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in Page(whole).tags}
    assert not [given for _, given in page.tags if any(name.startswith("on") for name in given)]
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not re.search("[\u202e\x1b\x00]", "".join(page.words))
    assert all(page.found(link["href"][1:]) == int(link["data-n"]) for link in page.links if "data-n" in link)
    assert all(unquote(link.get("href", "#"))[0] == "#" for link in page.links)


@pytest.mark.parametrize(
    "shape",
    [pytest.param(("uid",), id="decisions alone"), pytest.param(("messages",), id="conversations alone"),
     pytest.param(("durationMs",), id="sync events alone")],
)  # fmt: skip
def test_a_page_over_part_of_the_data_says_what_is_not_there(
    library: list[dict[str, Any]], shape: tuple[str]
) -> None:
    wanted = {"uid": "requestKey", "messages": "messages", "durationMs": "durationMs"}[shape[0]]
    text = made([row for row in library if wanted in row])
    page = Page(text)
    hrefs = {link.get("href") or link.get("xlink:href", "#sla") for link in page.links}
    assert {href[1:] for href in hrefs} <= set(page.ids)
    assert text.count("among the inputs") >= 1


def test_the_same_data_gives_the_same_page_whatever_the_zone_and_the_order(
    whole: str, library: list[dict[str, Any]], tmp_path: Path
) -> None:
    export = tmp_path / "all.ndjson"
    pages = []
    for zone, order in (("UTC", library), ("Asia/Kathmandu", library[::-1])):
        export.write_text(
            "".join(json.dumps(row) + "\n" for row in sorted(library, key=json.dumps)), encoding="utf-8"
        )
        done = child(
            "report", "html", export, "--policy", "dry-run", "-o", tmp_path / zone.replace("/", "-"), TZ=zone
        )
        assert done.code == 0, done.err
        pages.append((tmp_path / zone.replace("/", "-")).read_bytes())
        assert made(order) == whole
    assert pages[0] == pages[1]


def test_the_command_writes_the_page_of_a_session_and_its_charts(
    played: Path, cli: Cli, tmp_path: Path
) -> None:
    out, folder = tmp_path / "page.html", tmp_path / "deck"
    done = cli("report", "html", "cx-escalations", "-w", played, "-o", out, "--png", folder, "--svg", folder)
    assert (done.code, done.out) == (0, f"{out}\n")
    text = out.read_text(encoding="utf-8")
    assert "cx-escalations</h1>" in text
    # A note sent outside a decision is a delivery like any other, and has its row.
    assert re.search(r"Deliveries <b><a [^>]*>6</a></b>", text) and "of 6 events" in text
    assert len(Page(text).rows["deliveries"]) == 6
    assert "failure rate 16.67% of known outcomes is above 10%" in text
    assert "no escalation waits past its target" in text
    assert "cases opened for a note or a follow-up only: 1" in text
    hashed = json.loads(cli("report", "sla", "-w", played, "--json").out)["policy"]["hash"]
    assert hashed in text
    pictures, drawings = sorted(folder.glob("*.png")), sorted(folder.glob("*.svg"))
    assert [p.stem for p in pictures] == [p.stem for p in drawings]
    assert {"sla-outcomes", "latency-stages", "sync-hours"} <= {p.stem for p in pictures}
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pictures)
    assert all(ElementTree.fromstring(p.read_text(encoding="utf-8")).tag.endswith("svg") for p in drawings)


def test_the_footer_names_every_source_by_its_hash(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert cli("report", "html", SAMPLE, "-w", tmp_path / "w", "-o", out).code == 0
    text = out.read_text(encoding="utf-8")
    assert hashlib.sha256(SAMPLE.read_bytes()).hexdigest() in text
    for said in ("method linear", "of known outcomes", "p95 by method", "1</a> failed"):
        assert said in text
    assert not (tmp_path / "w").exists()


def test_without_the_extra_the_figures_stand_and_the_charts_are_missed(
    played: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    out = tmp_path / "page.html"
    done = cli("report", "html", "cx-escalations", "-w", played, "-o", out)
    assert done.code == 0
    assert "charts are left out" in done.err
    assert "charts extra is not installed" in out.read_text(encoding="utf-8")
    refused = cli(
        "report", "html", "cx-escalations", "-w", played, "-o", tmp_path / "no.html", "--png", tmp_path
    )
    assert refused.code == 2
    assert "cairnops[charts]" in refused.err
    assert not (tmp_path / "no.html").exists()


def test_nothing_to_report_on_and_nothing_to_read(cli: Cli, tmp_path: Path) -> None:
    empty = tmp_path / "other.ndjson"
    empty.write_text('{"a": 1}\n', encoding="utf-8")
    assert cli("report", "html", empty, "-o", tmp_path / "x.html", "-w", tmp_path / "w").code == 3
    gone = cli("report", "html", tmp_path / "gone.ndjson", "-o", tmp_path / "x.html", "-w", tmp_path / "w")
    assert gone.code == 2
    assert not (tmp_path / "x.html").exists()


def test_more_rows_than_a_page_holds_are_counted(
    library: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report.report_rows, "ROWS", 3)
    text = made(library)
    page = Page(text)
    assert {len(found) for found in page.rows.values()} == {3}
    assert re.search(r"The first 3 of \d\d", text)


def test_a_chart_stands_alone_in_the_same_bytes_every_time(library: list[dict[str, Any]]) -> None:
    material = inputs.of_rows(library)
    assert material.newest
    one, two = (report.measure(material, POLICY, material.newest, title="x").charts for _ in range(2))
    assert [c.svg() for c in one] == [c.svg() for c in two]
    assert "https:" not in one[0].svg()
    assert charts.token("a b|c&d=e") == "a%20b%7Cc%26d%3De"


def test_in_a_browser_a_link_shows_its_rows_and_only_them(whole: str, tmp_path: Path) -> None:
    assert CHROMIUM, "no browser on this machine; make test installs one"
    out = tmp_path / "page.html"
    out.write_text(whole, encoding="utf-8")
    page = Page(out.read_text(encoding="utf-8"))
    link = next(link for link in page.links if link.get("href", "").startswith("#conversations?breached=yes"))
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--dump-dom", f"{out.as_uri()}{link['href']}"],
        capture_output=True, timeout=60, encoding="utf-8",
    )  # fmt: skip
    assert (
        f"{link['data-n']} of {len(page.rows['conversations'])} rows: breached: yes, open: yes" in done.stdout
    )
    shown = re.findall(r'<tr data-t="id=chatwoot[^>]*>', done.stdout)
    assert sum("hidden" not in row for row in shown) == int(link["data-n"])
