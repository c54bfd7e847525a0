"""Ids that follow from the request: the same on every machine, in the order of time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cairnops.domain.decisions import Scope, uid_of

T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
moments = st.integers(0, 10**13).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))


def test_a_known_uid() -> None:
    # Pinned: a changed recipe would give the requests of an old ledger new ids.
    assert uid_of(T0, "decision", "form-1") == "01KQSDR2G0Y8EHSJGJEBR1JC3X"


@settings(deadline=None)
@given(at=moments, name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_the_same_request_has_the_same_uid_everywhere(at: datetime, name: str) -> None:
    elsewhere = at.astimezone(timezone(timedelta(hours=-6)))
    assert uid_of(at, "decision", name) == uid_of(elsewhere, "decision", name)


@settings(deadline=None)
@given(a=moments, b=moments)
def test_uids_sort_by_time(a: datetime, b: datetime) -> None:
    if b - a >= timedelta(milliseconds=1):
        assert uid_of(a, "z") < uid_of(b, "a")


@pytest.mark.parametrize(
    ("parts", "others"),
    [
        pytest.param(("decision", "k1"), ("decision", "k1 "), id="a blank more"),
        pytest.param(("decision", "k1"), ("decision", "k2"), id="another key"),
        pytest.param(("decision", "k1"), ("effect", "k1"), id="another kind of thing"),
        pytest.param(("effect", "k", "1"), ("effect", "k1"), id="parts do not run together"),
    ],
)
def test_another_name_is_another_uid(parts: tuple[str, ...], others: tuple[str, ...]) -> None:
    assert uid_of(T0, *parts) != uid_of(T0, *others)


@settings(deadline=None)
@given(at=moments)
# As a float this one is a millisecond short.
@example(at=datetime(2245, 5, 23, 8, 0, 19, 765_000, tzinfo=UTC))
def test_a_uid_is_a_ulid(at: datetime) -> None:
    uid = uid_of(at, "x")
    assert len(uid) == 26 and set(uid) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") and uid[0] <= "7"
    milliseconds = 0
    for letter in uid[:10]:
        milliseconds = milliseconds * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    assert milliseconds == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def test_people_and_machines_are_told_apart_by_scope() -> None:
    assert [scope.value for scope in Scope] == ["ops", "build"]
