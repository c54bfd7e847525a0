"""A worksheet held against the log: agreement, findings, and nothing to compare are three different things."""

from collections import Counter

import pytest

from cairnops.analytics.reconcile_result import Finding, Match, Reconciliation
from cairnops.app.views.reconcile import reconciled

FINDING = Finding(
    code="status_differs", sheet="w", line=5, decision="102", worksheet="SUCCESS", log="TIMEOUT"
)


def result(*findings: Finding, nothing: str = "") -> Reconciliation:
    rows = () if nothing else (
        Match(sheet="w", line=5, written="102", state="matched", method="decision-id", number="102"),
        Match(sheet="w", line=6, written="999", state="missing"),
        Match(sheet="w", line=7, written="—", state="no decision"),
    )  # fmt: skip
    counts = Counter(f.code for f in findings)
    return Reconciliation(sheets=(), sources=(), rows=rows, findings=findings, counts=counts, nothing=nothing)


@pytest.mark.parametrize(
    ("given", "word", "tone"),
    [
        pytest.param(result(), "Agrees", "good", id="nothing found"),
        pytest.param(result(FINDING), "Findings", "bad", id="a finding"),
        pytest.param(
            result(nothing="Nothing in common."), "Nothing to compare", "warn", id="no agreement by default"
        ),
    ],
)
def test_the_verdict_is_in_words(given: Reconciliation, word: str, tone: str) -> None:
    shown = reconciled(given)
    assert (shown.word, shown.tone) == (word, tone)


def test_a_row_that_was_met_and_says_something_else_is_not_green() -> None:
    shown = reconciled(result(FINDING))
    assert [(c.state, c.tone) for c in shown.claims] == [
        ("matched, differs", "bad"),
        ("missing", "bad"),
        ("no decision", "plain"),
    ]
    assert shown.findings[0].todo.startswith("Believe the log")
    assert shown.said == "3 rows: 1 matched, 1 missing, 1 no decision; 1 finding; times within 2 s."
