"""A policy without one rule: only that rule is gone, and the rule really does nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cairnops.domain import catalogue, delivery, guardrails, sla, suggestions, switches
from cairnops.domain import policy as policies
from cairnops.domain.conversations import Author, Conversation, Message, Status
from cairnops.domain.delivery import Again, Answer, Done, FinalStatus, Result

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
DRY_RUN = policies.profile("dry-run")


def waiting(text: str, days: int = 30) -> Conversation:
    at = NOW - timedelta(days=days)
    said = Message(id="1", author=Author.CUSTOMER, text=text, at=at)
    return Conversation(
        id="7", customer="Jo", customer_key="j", status=Status.OPEN, created_at=at, messages=(said,)
    )


@pytest.mark.parametrize("code", sorted(catalogue.CODES))
@pytest.mark.parametrize("name", policies.PROFILES)
def test_only_what_the_rule_needs_is_changed(code: str, name: policies.ProfileName) -> None:
    base = policies.profile(name)
    off = switches.without(base, code)
    assert off.guardrails.disabled == (code,)
    touched = {path for path, _, _ in policies.diff(base, off)} - {"guardrails.disabled"}
    words = ("ship_words", "refund_words", "ship_tags", "refund_tags")
    assert touched == {
        "sla.breach": {"sla.minutes", "sla.priority_minutes"},
        "suggestion.template": {f"suggestions.{w}" for w in words},
        "delivery.retry": {"delivery.max_attempts"},
        "delivery.at_most_once": {"delivery.look_up"},
    }.get(code, set())


def test_switches_add_up() -> None:
    off = switches.without(switches.without(DRY_RUN, "sla.triage"), "delivery.retry")
    assert off.guardrails.disabled == ("sla.triage", "delivery.retry")
    assert off.delivery.max_attempts == 1


def test_without_the_breach_nothing_is_ever_late() -> None:
    case = waiting("Hello?", days=365)
    assert sla.read(case, DRY_RUN.sla, NOW).in_force.breached
    assert not sla.read(case, switches.without(DRY_RUN, "sla.breach").sla, NOW).in_force.breached


def test_without_triage_nothing_comes_first() -> None:
    case = waiting("Hello?")
    off = switches.without(DRY_RUN, "sla.triage")
    standing = sla.read(case, off.sla, NOW)
    assert sla.triage(case, standing, DRY_RUN, NOW) is not None
    assert sla.triage(case, standing, off, NOW) is None


@pytest.mark.parametrize("name", policies.PROFILES)
def test_without_the_templates_every_case_gets_the_same(name: policies.ProfileName) -> None:
    case, base = waiting("My refund for the damaged parcel?"), policies.profile(name)
    assert suggestions.classify(case, base.suggestions) == "refund_offer"
    assert (
        suggestions.classify(case, switches.without(base, "suggestion.template").suggestions) == "ack_delay"
    )


def test_without_the_screen_a_threat_is_answered_from_a_template() -> None:
    case = waiting("I'll sue you.")
    assert suggestions.suggest(case, DRY_RUN, ai_enabled=False, draft=None) is None
    off = switches.without(DRY_RUN, "suggestion.high_risk_screen")
    assert suggestions.suggest(case, off, ai_enabled=False, draft=None) is not None


def test_without_retry_the_first_failure_is_the_last() -> None:
    off = switches.without(DRY_RUN, "delivery.retry").delivery
    got = Result(answer=Answer.RETRY, error_code="HTTP_429")
    assert isinstance(delivery.after_try(got, 1, DRY_RUN.delivery), Again)
    assert delivery.after_try(got, 1, off) == Done(status=FinalStatus.FAILED)


def test_without_the_look_up_an_unclear_try_is_sent_again() -> None:
    off = switches.without(DRY_RUN, "delivery.at_most_once").delivery
    got = Result(answer=Answer.UNKNOWN, error_code="ETIMEDOUT")
    assert isinstance(delivery.after_try(got, 1, off), Again)


def test_a_policy_file_could_not_say_what_a_switch_says() -> None:
    # A switch is for one run; a workspace that lives without a core rule is refused.
    assert policies.check(switches.without(DRY_RUN, "delivery.at_most_once"))
    known = {g.rule.code for g in guardrails.GUARDRAILS}
    assert "sla.breach" not in known and "reply.already_answered" not in known


def test_the_policy_handed_in_is_left_as_it_was() -> None:
    before = replace(DRY_RUN)
    switches.without(DRY_RUN, "sla.breach")
    assert before == DRY_RUN
