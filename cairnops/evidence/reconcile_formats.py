"""How a reconciliation leaves for a spreadsheet and for a build server: CSV no program runs, and JUnit XML."""

import csv
import io
from collections import defaultdict
from xml.etree import ElementTree as xml

from cairnops.analytics.reconcile_result import CODES, HARMLESS, Finding, Reconciliation
from cairnops.evidence import inert

COLUMNS = (
    "code",
    "worksheet file",
    "line",
    "decision",
    "worksheet says",
    "log says",
    "log",
    "meaning",
    "what to do",
)


def as_csv(result: Reconciliation) -> str:
    """One finding a row; a clean reconciliation has only the heading."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for f in result.findings:
        cells = (f.code, f.sheet, f.line or "", f.decision, f.worksheet, f.log, f.source, f.meaning, f.todo)
        writer.writerow([inert.csv_cell(cell) for cell in cells])
    return out.getvalue()


def as_junit(result: Reconciliation) -> str:
    """A test case for every row of a worksheet, every row that could not be read, and all else that was found.

    A case fails once for each finding about it, with the code as type. Nothing to compare is a skipped case: a
    build server must not take it for a pass.
    """
    by_place: dict[tuple[str, int], list[Finding]] = defaultdict(list)
    for finding in result.findings:
        by_place[finding.sheet, finding.line].append(finding)
    root = xml.Element("testsuites", name="cairnops reconcile")
    cases = failures = skipped = 0
    for sheet in result.sheets:
        suite = xml.SubElement(root, "testsuite", name=_xml(sheet.name))
        lines = {row.line: row for row in reversed(result.rows) if row.sheet == sheet.name}
        places = sorted({line for name, line in by_place if name == sheet.name and line} | lines.keys())
        for line in places:
            row = lines.get(line)
            what = f"line {line}" + (f": {row.written}" if row and row.written else "")
            failures += _case(suite, sheet.name, what, by_place[sheet.name, line])
        if not places and result.nothing:
            xml.SubElement(_element(suite, sheet.name, "rows"), "skipped", message=_xml(result.nothing))
            skipped += 1
        cases += len(suite)
        _totals(suite)
    rest = [f for f in result.findings if not (f.sheet and f.line)]
    suite = xml.SubElement(root, "testsuite", name="log")
    for number, finding in enumerate(rest, 1):
        named = finding.decision or finding.source or str(number)
        failures += _case(suite, "log", f"{finding.code} {named}", [finding])
    unnamed = result.counts.total() - len(result.findings)
    if unnamed > 0:
        more = xml.SubElement(
            _element(suite, "log", "findings not named"), "failure", type="missing_in_worksheet"
        )
        more.set("message", f"{unnamed} more findings are counted and not named")
        failures += 1
    if not rest and unnamed <= 0:
        case = _element(suite, "log", "what only the log has")
        if result.part is None:
            xml.SubElement(case, "skipped", message=_xml(result.nothing or "was not looked for"))
            skipped += 1
    cases += len(suite)
    _totals(suite)
    root.set("tests", str(cases))
    root.set("failures", str(failures))
    root.set("errors", "0")
    root.set("skipped", str(skipped))
    xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml.tostring(root, encoding="unicode")}\n'


def _element(suite: xml.Element, owner: str, name: str) -> xml.Element:
    return xml.SubElement(
        suite, "testcase", classname=f"cairnops.reconcile.{_xml(owner)}", name=_xml(name), time="0"
    )


def _case(suite: xml.Element, owner: str, name: str, findings: list[Finding]) -> int:
    """Add a test case; returns 1 when it fails."""
    case = _element(suite, owner, name)
    if told := [f for f in findings if f.code in HARMLESS]:
        xml.SubElement(case, "system-out").text = _xml("\n".join(_said(f) for f in told))
    # Readers differ over several failures in a case, so one holds them all.
    findings = [f for f in findings if f.code not in HARMLESS]
    if not findings:
        return 0
    types = " ".join(dict.fromkeys(f.code for f in findings))
    failure = xml.SubElement(
        case, "failure", type=types, message=_xml(" ".join(CODES[t][0] for t in types.split()))
    )
    failure.text = _xml("\n".join(_said(f) for f in findings))
    return 1


def _said(f: Finding) -> str:
    where = f" ({f.source})" if f.source else ""
    return f"{f.code} {f.decision}: worksheet: {f.worksheet or '-'}; log: {f.log or '-'}{where}. {f.todo}"


def _totals(suite: xml.Element) -> None:
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))


def _xml(text: str) -> str:
    """Text without the characters XML has no way to hold."""
    return inert.visible(text, keep="\n").replace("\ufffe", "").replace("\uffff", "")
