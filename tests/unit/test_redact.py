"""What of a text is a customer's, what stands in its place, and what openings prove of it."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnops import codec
from cairnops.evidence import pseudonyms, redacted
from cairnops.evidence.pseudonyms import Pseudonyms

CUSTOMERS = ["Alex Rivera", "Taylor Morgan", "José Núñez", "Will Park", "Alex Chen", "Li Wu"]
ORDERS = ["#EVR-1045", "#1001", "77001234"]


def made(**more: object) -> Pseudonyms:
    return Pseudonyms(
        CUSTOMERS,
        ORDERS,
        kept_emails=["op@shop.example"],
        kept_names=["Morgan Patel"],
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Alex Rivera wrote", "[customer 1] wrote", id="whole name"),
        pytest.param("ALEX  RIVERA, alexrivera", "[customer 1], [customer 1]", id="spelt otherwise"),
        pytest.param("Hi Rivera's dog", "Hi [customer 1]'s dog", id="family name"),
        pytest.param("Hi Alex", "Hi [customer 1 or 5]", id="a first name two have"),
        pytest.param("jose nunez, Nuñez, José", "[customer 3], [customer 3], [customer 3]", id="accents"),
        pytest.param("Jose\u0301 Nu\u0301n\u0303ez", "[customer 3]", id="accents written apart"),
        pytest.param("Will, will you park? Park", "[customer 4], will you park? [customer 4]", id="words"),
        pytest.param("li, LI", "li, [customer 6]", id="a name of two letters"),
        pytest.param("Alexandria, alexes", "Alexandria, alexes", id="not inside a word"),
        pytest.param("Morgan Patel called Morgan", "Morgan Patel called [customer 2]", id="staff stays"),
        pytest.param("a.rivera+x@mail.example!", "[e-mail 1]!", id="e-mail"),
        pytest.param("op@shop.example", "op@shop.example", id="a participant's e-mail"),
        pytest.param("ask A.B@C.example or a.b@c.example", "ask [e-mail 1] or [e-mail 1]", id="e-mail, any case"),
        pytest.param("+1 (555) 123-4567", "[phone 1]", id="phone"),
        pytest.param("call 0176 1234567 or 01761234567", "call [phone 1] or [phone 1]", id="one phone, written twice"),
        pytest.param("#EVR-1045 evr-1045 EVR-10457", "[order 1] [order 1] EVR-10457", id="a known order"),
        pytest.param("order 55512, #ABC-999", "order [order 1], [order 2]", id="orders nobody told us of"),
        pytest.param("#1001 and 1001", "[order 1] and 1001", id="four bare digits may be anything"),
        pytest.param("see 77001234", "see [order 1]", id="a long bare order number"),
        pytest.param("at 2025-10-16T17:24:00.000Z", "at 2025-10-16T17:24:00.000Z", id="moment"),
        pytest.param("on 16.10.2025 17:00 99 of 60", "on 16.10.2025 17:00 99 of 60", id="date"),
        pytest.param("01K7Q0SJW02F49BDY3XRKKHY6C", "01K7Q0SJW02F49BDY3XRKKHY6C", id="uid"),
        pytest.param("USD 325.00, 1500.55 ms", "USD 325.00, 1500.55 ms", id="amounts"),
        pytest.param("decision 104, chatwoot:1045555555", "decision 104, chatwoot:1045555555", id="our own ids"),
    ],
)  # fmt: skip
def test_what_is_personal_is_replaced_and_nothing_else(text: str, shown: str) -> None:
    assert made().text(text) == shown


def test_the_same_is_replaced_by_the_same_everywhere() -> None:
    names = made()
    data = {
        "a": ["Hi Alex Rivera, a@b.example"],
        "Alex": {"b": "a@b.example / c@d.example"},
        "n": 7,
        "x": None,
    }
    shown = names.data(data)
    assert shown == {
        "a": ["Hi [customer 1], [e-mail 1]"], "Alex": {"b": "[e-mail 1] / [e-mail 2]"}, "n": 7, "x": None,
    }  # fmt: skip
    assert names.meaning["[e-mail 1]"] == {"a@b.example"}
    assert names.counts == {"customer": 1, "e-mail": 3, "phone": 0, "order": 0}
    assert names.data(data, skip=lambda at: at == "/a/0")["a"] == data["a"]


filler = st.text(alphabet=string.ascii_lowercase + " .,;:!?()\"'\n—é", max_size=30)
secrets = st.sampled_from([*CUSTOMERS, "#EVR-1045", "someone@mail.example", "+49 170 1234567"])


@given(st.lists(st.tuples(filler, secrets), min_size=1, max_size=5), filler)
def test_law_no_known_secret_survives_and_the_view_fits_its_text(
    parts: list[tuple[str, str]], end: str
) -> None:
    text = "".join(f"{before} {secret} " for before, secret in parts) + end
    shown = made().text(text)
    for _, secret in parts:
        assert secret.casefold() not in shown.casefold()
    assert pseudonyms.fits(shown, text)
    assert made().text(shown) == shown, "nothing of a stand-in is taken for a secret"


@given(st.text(max_size=200))
def test_law_any_text_is_read_and_fits(text: str) -> None:
    assert pseudonyms.fits(made().text(text), text)


@pytest.mark.parametrize(
    ("view", "text", "fits"),
    [
        pytest.param("Hi [customer 1]!", "Hi Alex!", True, id="one"),
        pytest.param("[customer 1][order 1]", "ab", True, id="side by side"),
        pytest.param("Hi [customer 1]!", "Hi !", False, id="something must have stood there"),
        pytest.param("Hi [customer 1]!", "Ho Alex!", False, id="beginning"),
        pytest.param("Hi [customer 1]!", "Hi Alex?", False, id="end"),
        pytest.param("a [order 1] b [order 2] c", "a 1 x 2 c", False, id="middle"),
        pytest.param("plain", "plain!", False, id="nothing replaced"),
    ],
)
def test_a_view_fits_only_the_text_it_was_made_of(view: str, text: str, fits: bool) -> None:
    assert pseudonyms.fits(view, text) is fits


def test_a_text_of_many_stand_ins_is_compared_in_no_time() -> None:
    view = "[customer 1]a" * 20_000 + "b"
    assert not pseudonyms.fits(view, "xa" * 20_000 + "c")


def test_long_texts_are_searched_in_no_time() -> None:
    names = made()
    for hostile in (
        "a" * 50_000,
        "1" * 50_000,
        "1 " * 25_000,
        "a.b@" * 12_000,
        "#" * 50_000,
        "Alex " * 10_000,
    ):
        names.text(hostile)


def test_a_commitment_hides_its_text_and_fits_no_other() -> None:
    one = redacted.commitment(b"s" * 32, "text")
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert one == redacted.commitment(b"s" * 32, "text")
    assert one not in (redacted.commitment(b"t" * 32, "text"), redacted.commitment(b"s" * 32, "test"))
    assert one != codec.digest("text"), "without the salt a guess could be confirmed"
