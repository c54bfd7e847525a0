"""Drafts on every database: one form a person and version, kept through a reload, gone when it is sent."""

import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from cairnops.errors import NotFound
from cairnops.store.drafts import Draft, SqlDrafts

T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ALEX, SAM = "alex@shop.example", "sam@shop.example"


@pytest.fixture
def drafts(engine: Engine) -> SqlDrafts:
    return SqlDrafts(engine)


@pytest.fixture
def mint() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"key-{next(numbers)}"


Form = Callable[..., Draft]


@pytest.fixture
def form(drafts: SqlDrafts, mint: Callable[[], str]) -> Form:
    """Somebody opens conversation 101; everything can be said otherwise."""

    def made(actor: str = ALEX, version: int = 1, session: str = "s", conversation: str = "101") -> Draft:
        return drafts.get_or_make(conversation, actor, session=session, version=version, mint=mint, at=T0)

    return made


def test_a_second_tab_and_a_reload_are_the_same_form(form: Form, drafts: SqlDrafts) -> None:
    first = form()
    assert first == Draft(
        conversation="101", actor=ALEX, session="s", opening="key-1", key="key-2", version=1, text=None,
        note="", at=T0,
    )  # fmt: skip
    assert form() == first
    assert drafts.keep("101", ALEX, text="Hi Alex,", note="asked", at=T0 + timedelta(seconds=1))
    again = form()
    assert (again.opening, again.key) == (first.opening, first.key)
    assert (again.text, again.note) == ("Hi Alex,", "asked")


@pytest.mark.parametrize(
    "changed", [pytest.param({"version": 2}, id="version"), pytest.param({"session": "t"}, id="session")]
)
def test_from_another_version_it_is_a_new_form_with_what_was_typed(
    form: Form, drafts: SqlDrafts, changed: dict[str, object]
) -> None:
    first = form()
    drafts.keep("101", ALEX, text="Hi Alex,", note="asked", at=T0)
    new = form(**changed)
    assert not {new.opening, new.key} & {first.opening, first.key}
    assert (new.text, new.note) == ("Hi Alex,", "asked")
    assert form(**changed) == new


def test_two_people_have_two_forms(form: Form, drafts: SqlDrafts) -> None:
    mine, theirs = form(), form(SAM)
    assert not {mine.opening, mine.key} & {theirs.opening, theirs.key}
    drafts.keep("101", ALEX, text="mine", note="", at=T0)
    assert form(SAM) == theirs


def test_an_emptied_reply_is_not_an_untouched_one(form: Form, drafts: SqlDrafts) -> None:
    form()
    drafts.keep("101", ALEX, text="", note="", at=T0)
    assert form().text == ""
    drafts.keep("101", ALEX, text=None, note="", at=T0)
    assert form().text is None


def test_after_a_refusal_only_the_key_is_new(form: Form, drafts: SqlDrafts, mint: Callable[[], str]) -> None:
    first = form()
    drafts.keep("101", ALEX, text="Hi", note="n", at=T0)
    renewed = drafts.renew("101", ALEX, mint=mint, at=T0)
    assert renewed.key not in (first.key, first.opening)
    assert (renewed.opening, renewed.version, renewed.text, renewed.note) == (first.opening, 1, "Hi", "n")
    assert form() == renewed


def test_what_is_gone_is_gone(form: Form, drafts: SqlDrafts, mint: Callable[[], str]) -> None:
    first = form()
    assert drafts.drop("101", ALEX)
    assert not drafts.drop("101", ALEX)
    assert not drafts.keep("101", ALEX, text="too late", note="", at=T0)
    with pytest.raises(NotFound, match="gone") as gone:
        drafts.renew("101", ALEX, mint=mint, at=T0)
    assert gone.value.hint
    assert form().key != first.key


def test_mine_are_mine_newest_first(form: Form, drafts: SqlDrafts) -> None:
    for key in ("101", "102", "103"):
        form(conversation=key)
    form(SAM)
    drafts.keep("102", ALEX, text="x", note="", at=T0 + timedelta(minutes=1))
    assert [d.conversation for d in drafts.mine(ALEX)] == ["102", "101", "103"]
    assert [d.actor for d in drafts.mine(SAM)] == [SAM]
    assert drafts.mine("nobody@shop.example") == []


@pytest.mark.parametrize("there", [False, True], ids=["first opened", "changed meanwhile"])
def test_tabs_that_open_at_once_get_one_form(
    form: Form, drafts: SqlDrafts, there: bool, mint: Callable[[], str]
) -> None:
    if there:
        form(version=1)
    gate, got = threading.Barrier(6), []

    def open_it() -> None:
        gate.wait(30)
        got.append(drafts.get_or_make("101", ALEX, session="s", version=2, mint=mint, at=T0))

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 6
    assert {(d.opening, d.key) for d in got} == {(form(version=2).opening, form(version=2).key)}
