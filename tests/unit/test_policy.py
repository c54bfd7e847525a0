"""The profiles' numbers, what a policy must not say, and what is told about a policy file that cannot be used."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cairnops.domain import policy as policies
from cairnops.domain.conversations import Role
from cairnops.domain.policy import Overridable, Policy, RefundTier
from cairnops.domain.rules import Severity
from cairnops.errors import PolicyError
from cairnops.policy_file import PolicyInForce, load_policy
from cairnops.settings import Settings

DRY_RUN, PARITY, PILOT = (policies.profile(name) for name in policies.PROFILES)

#: Where the trade's documents disagree, the numbers each profile starts from.
NUMBERS: dict[str, tuple[Any, Any, Any]] = {
    # key: dry-run, parity, pilot
    "sla.minutes": (60, 30, 60),
    "sla.priority_minutes": (30, 30, 30),
    "sla.clock": ("last_customer_message", "conversation_created", "last_customer_message"),
    "sla.stop_on": ("first_operator_action", "never", "first_operator_action"),
    "sla.pause_statuses": (("snoozed",), (), ("snoozed",)),
    "sla.business_hours": (None, None, None),
    "sla.breach_rate_warn_percent": (20, 20, 20),
    "sla.breach_rate_critical_percent": (40, 40, 40),
    "triage.breach_age_minutes": (120, 120, 120),
    "triage.p1_within_minutes": (0, 0, 0),
    "triage.p2_within_minutes": (30, 30, 30),
    "triage.p3_within_minutes": (60, 60, 60),
    "suggestions.matcher": ("word_boundary", "legacy_substring", "word_boundary"),
    "escalation.acknowledge_minutes": (120, 120, 120),
    "escalation.update_hours": (24, 24, 24),
    "escalation.target": (Role.MANAGER, Role.MANAGER, Role.MANAGER),
    "guardrails.no_ack_hours": (24, 24, 24),
    "guardrails.repeat_breach_days": (7, 7, 7),
    "guardrails.repeat_breach_count": (2, 2, 2),
    "guardrails.rapid_reopen_minutes": (30, 30, 30),
    "guardrails.index_fresh_hours": (24, 24, 24),
    "guardrails.index_stale_hours": (36, 36, 36),
    "guardrails.disabled": ((), (), ()),
    "delivery.max_attempts": (3, 3, 3),
    "delivery.backoff_ms": (250, 250, 1000),
    "delivery.timeout_ms": (500, 500, 10_000),
    "delivery.settle_ms": (300, 300, 30_000),
    "delivery.look_up": (True, True, True),
    "delivery.outage_after": (5, 5, 5),
    "delivery.ask_again_ms": (1000, 1000, 15_000),
    "delivery.recheck_minutes": (10, 10, 10),
    "alerts.failure_warn_percent": (5, 5, 5),
    "alerts.failure_alert_percent": (10, 10, 10),
    "alerts.p95_ms": (1000, 1000, 1000),
    "alerts.min_samples": (5, 5, 5),
    "retention.decision_days": (365, 365, 365),
    "retention.transcript_days": (14, 14, 14),
    "retention.training_days": (90, 90, 90),
    "measures.percentile": ("linear", "nearest_rank", "linear"),
    "measures.failure_denominator": ("known", "known", "known"),
    "measures.seconds_below_ten": (False, True, False),
}


@pytest.mark.parametrize("key", NUMBERS)
def test_the_profiles_start_from_these_numbers(key: str) -> None:
    found = tuple(dict(policies.flatten(p))[key] for p in (DRY_RUN, PARITY, PILOT))
    assert found == NUMBERS[key]


@pytest.mark.parametrize(
    ("policy", "tiers"),
    [
        pytest.param(DRY_RUN, [(100, "lead", "warn"), (500, "manager", "block")], id="dry-run"),
        pytest.param(PARITY, [(100, "lead", "warn"), (500, "manager", "block")], id="parity"),
        pytest.param(PILOT, [(100, "manager", "block")], id="pilot"),
    ],
)
def test_who_may_promise_how_much(policy: Policy, tiers: list[tuple[int, str, str]]) -> None:
    assert [(t.above, t.role.value, t.severity.value) for t in policy.refund.tiers] == tiers


def test_a_summary_may_take_the_dry_run_for_the_defaults() -> None:
    assert DRY_RUN.alerts == policies.AlertPolicy()
    assert DRY_RUN.measures == policies.MeasurePolicy()


def test_a_profile_differs_from_the_dry_run_only_where_it_must() -> None:
    parity = {path.partition(".")[0] for path, _, _ in policies.diff(DRY_RUN, PARITY)}
    pilot = {path for path, _, _ in policies.diff(DRY_RUN, PILOT)}
    assert parity == {"profile", "sla", "suggestions", "measures"}
    assert pilot == {
        "profile",
        "refund.tiers",
        "delivery.timeout_ms",
        "delivery.backoff_ms",
        "delivery.settle_ms",
        "delivery.ask_again_ms",
    }


def test_a_profile_outside_the_three_is_refused() -> None:
    with pytest.raises(ValueError, match="there are dry-run, parity, pilot"):
        policies.profile("production")  # type: ignore[arg-type]


def test_diff_names_the_leaf_and_both_values() -> None:
    other = mended("sla.minutes", 45)
    assert policies.diff(DRY_RUN, other) == [("sla.minutes", 60, 45)]
    assert policies.diff(other, DRY_RUN) == [("sla.minutes", 45, 60)]
    assert policies.diff(DRY_RUN, DRY_RUN) == []


def mended(key: str, value: Any, base: Policy = DRY_RUN) -> Policy:
    section, name = key.split(".")
    return replace(base, **{section: replace(getattr(base, section), **{name: value})})


@pytest.mark.parametrize("name", policies.PROFILES)
def test_the_profiles_hold_together(name: policies.ProfileName) -> None:
    assert policies.check(policies.profile(name)) == []


def tier(above: int, role: Role = Role.LEAD) -> tuple[RefundTier, ...]:
    return (RefundTier(above=above, role=role, severity=Severity.BLOCK),)


LEAD_RULE = Overridable(code="refund.above_tier", role=Role.LEAD)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        pytest.param("sla.minutes", 0, "sla.minutes is 0; it must be at least 1", id="no minutes"),
        pytest.param("sla.minutes", -5, "sla.minutes is -5; it must be at least 1", id="negative minutes"),
        pytest.param(
            "sla.minutes",
            10**9,
            "sla.minutes is 1000000000; it can be at most 1000000",
            id="minutes beyond any date",
        ),
        pytest.param(
            "sla.minutes",
            29,
            "sla.priority_minutes (30) is above sla.minutes (29); an urgent case would wait longer than any other",
            id="urgent cases wait longer",
        ),
        pytest.param(
            "guardrails.no_ack_hours",
            -1,
            "guardrails.no_ack_hours is -1; it must be at least 0",
            id="negative hours",
        ),
        pytest.param(
            "guardrails.repeat_breach_days",
            4000,
            "guardrails.repeat_breach_days is 4000; it can be at most 3650",
            id="days beyond any date",
        ),
        pytest.param(
            "guardrails.repeat_breach_count",
            0,
            "guardrails.repeat_breach_count is 0; it must be at least 1",
            id="a count everybody reaches",
        ),
        pytest.param(
            "guardrails.index_stale_hours",
            23,
            "guardrails.index_fresh_hours (24) is above guardrails.index_stale_hours (23); "
            "blocking would come before warning",
            id="blocks before it warns",
        ),
        pytest.param(
            "retention.transcript_days",
            13,
            "retention.transcript_days is 13; it must be at least 14",
            id="what is worked on would go",
        ),
        pytest.param(
            "delivery.max_attempts", 0, "delivery.max_attempts is 0; it must be at least 1", id="no attempt"
        ),
        pytest.param(
            "delivery.settle_ms", 0, "delivery.settle_ms is 0; it must be at least 1", id="no settle wait"
        ),
        pytest.param(
            "delivery.look_up", False, "delivery.look_up is off; replies would be sent twice", id="no look-up"
        ),
        pytest.param(
            "alerts.failure_alert_percent",
            101,
            "alerts.failure_alert_percent is 101; it can be at most 100",
            id="percent",
        ),
        pytest.param(
            "alerts.failure_alert_percent",
            4,
            "alerts.failure_warn_percent (5) is above alerts.failure_alert_percent (4); "
            "the alert would come before the warning",
            id="alert before warning",
        ),
        pytest.param(
            "refund.tiers", tier(-1), "refund.tiers[0].above is -1; it must be at least 0", id="negative tier"
        ),
        pytest.param(
            "refund.tiers",
            tier(1, Role.QA),
            "refund.tiers[0].role is qa, who reads and does not act; use one of operator, lead, manager, admin",
            id="a tier nobody reaches",
        ),
        pytest.param(
            "escalation.target",
            Role.ANALYST,
            "escalation.target is analyst, who reads and does not act; use one of operator, lead, manager, admin",
            id="escalated to a reader",
        ),
        pytest.param(
            "guardrails.overridable",
            (replace(LEAD_RULE, role=Role.QA),),
            "guardrails.overridable.refund.above_tier is qa, who reads and does not act; "
            "use one of operator, lead, manager, admin",
            id="overridable by anybody",
        ),
        pytest.param(
            "guardrails.overridable",
            (LEAD_RULE, replace(LEAD_RULE, role=Role.ADMIN)),
            "guardrails.overridable names refund.above_tier more than once",
            id="overridable twice",
        ),
        pytest.param(
            "escalation.reasons", (), "escalation.reasons is empty; nobody could escalate", id="no reasons"
        ),
        pytest.param(
            "escalation.reasons", ("ok", " "), "escalation.reasons holds an empty word", id="an empty reason"
        ),
        pytest.param(
            "refund.words", ("*",), "refund.words holds an empty word", id="a word that fits everything"
        ),
        pytest.param(
            "labels.approve_button", " ", "labels.approve_button is empty", id="a button without words"
        ),
        pytest.param(
            "labels.escalated",
            ("handed-up",),
            "labels.escalation is not among labels.escalated; an escalated case would not look escalated",
            id="a label nobody reads",
        ),
        pytest.param(
            "sla.pause_statuses",
            ("snooze",),
            "sla.pause_statuses: snooze is no status; use open, pending, snoozed, resolved",
            id="no such status",
        ),
    ],
)
def test_a_policy_that_contradicts_itself_is_told_so(key: str, value: Any, problem: str) -> None:
    assert policies.check(mended(key, value)) == [problem]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("sla.minutes", 30, id="as long as urgent"),
        pytest.param("sla.minutes", 1_000_000, id="the largest"),
        pytest.param("guardrails.index_stale_hours", 24, id="warns and blocks at once"),
        pytest.param("triage.p1_within_minutes", 0, id="at once"),
        pytest.param("alerts.failure_alert_percent", 100, id="never"),
        pytest.param("labels.escalated", ("Escalation",), id="labels whatever the case"),
    ],
)
def test_a_policy_at_the_edge_is_fine(key: str, value: Any) -> None:
    assert policies.check(mended(key, value)) == []


# --- the file ---------------------------------------------------------------------------------------


def load(folder: Path, text: str | bytes, **environ: str) -> PolicyInForce:
    file = folder / "policy.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_policy(file, Settings(environ))


def test_no_file_is_the_dry_run(tmp_path: Path) -> None:
    assert load_policy(None, Settings({})) == PolicyInForce(policy=DRY_RUN, set_by={})
    assert load_policy(tmp_path / "not-there.yaml", Settings({})).policy == DRY_RUN


@pytest.mark.parametrize(
    ("text", "policy", "set_by"),
    [
        pytest.param("", DRY_RUN, [], id="empty"),
        pytest.param("# sla:\n#   minutes: 45\n", DRY_RUN, [], id="all of it a comment"),
        pytest.param("profile: pilot\n", PILOT, [], id="a profile"),
        pytest.param("sla:\n", DRY_RUN, [], id="a section with nothing left in it"),
        pytest.param("sla: {minutes: 60}\n", DRY_RUN, [], id="the profile's own number"),
        pytest.param("sla: {minutes: 45}\n", mended("sla.minutes", 45), ["sla.minutes"], id="one number"),
        pytest.param(
            "labels: {escalated: [a, escalation]}",
            mended("labels.escalated", ("a", "escalation")),
            ["labels.escalated"],
            id="a list",
        ),
        pytest.param(
            "guardrails: {disabled: [sla.breach_age]}",
            mended("guardrails.disabled", ("sla.breach_age",)),
            ["guardrails.disabled"],
            id="a rule off",
        ),
        pytest.param(
            "profile: pilot\nrefund:\n  tiers:\n  - {above: 50, role: lead, severity: block}\n",
            mended("refund.tiers", tier(50), PILOT),
            ["refund.tiers"],
            id="tiers",
        ),
    ],
)
def test_a_file_says_only_what_differs(tmp_path: Path, text: str, policy: Policy, set_by: list[str]) -> None:
    found = load(tmp_path, text)
    assert found == PolicyInForce(policy=policy, set_by=dict.fromkeys(set_by, "policy.yaml"))


def test_opening_hours_are_read(tmp_path: Path) -> None:
    hours = load(
        tmp_path,
        'sla: {business_hours: {time_zone: America/Edmonton, week: {mon: ["09:00-21:00"], sat: ["10:00-17:00"]}}}',
    ).policy.sla.business_hours
    assert hours is not None and hours.week == {"mon": ("09:00-21:00",), "sat": ("10:00-17:00",)}


BAD = [
    # text of the file, what stands behind its name
    *(
        pytest.param(text, said, id=name)
        for name, text, said in [
            ("unknown section", "slaa: {}", ": slaa is not a key of the policy; did you mean sla?"),
            (
                "misspelt key",
                "sla: {minuts: 3}",
                ": sla.minuts is not a key of the policy; did you mean sla.minutes?",
            ),
            ("unknown key", "sla: {zzz: 3}", ": sla.zzz is not a key of the policy."),
            (
                "text for a number",
                "sla: {minutes: soon}",
                ': sla.minutes is "soon"; it must be a whole number.',
            ),
            (
                "a number in quotes",
                'sla: {minutes: "45"}',
                ': sla.minutes is "45"; it must be a whole number.',
            ),
            ("yes for a number", "sla: {minutes: yes}", ": sla.minutes is true; it must be a whole number."),
            ("half a number", "sla: {minutes: 45.5}", ": sla.minutes is 45.5; it must be a whole number."),
            ("nothing for a number", "sla: {minutes: }", ": sla.minutes is null; it must be a whole number."),
            (
                "a word for a list",
                "labels: {escalated: up}",
                ': labels.escalated is "up"; it must be a list.',
            ),
            (
                "a number in a list",
                "labels: {escalated: [1]}",
                ": labels.escalated[0] is 1; it must be text.",
            ),
            (
                "a word for a switch",
                "delivery: {look_up: maybe}",
                ': delivery.look_up is "maybe"; it must be true or false.',
            ),
            ("a number for a section", "sla: 60", ": sla is 60; it must be keys with values."),
            (
                "a date",
                "sla: {clock: 2025-10-16}",
                ': sla.clock is "2025-10-16"; it must be one of conversation_created, ',
            ),
            (
                "unknown clock",
                "sla: {clock: now}",
                ': sla.clock is "now"; it must be one of conversation_created, last_customer_message '
                "or first_unanswered_customer_message.",
            ),
            (
                "unknown role",
                "escalation: {target: boss}",
                ': escalation.target is "boss"; it must be one of operator, lead, manager, admin, qa or analyst.',
            ),
            (
                "unknown role of a tier",
                "refund: {tiers: [{above: 1, role: boss, severity: block}]}",
                ': refund.tiers[0].role is "boss"; it must be one of operator',
            ),
            (
                "half a tier",
                "refund: {tiers: [{above: 1, role: lead}]}",
                ": refund.tiers[0].severity is missing.",
            ),
            (
                "unknown time zone",
                'sla: {business_hours: {time_zone: Mars, week: {mon: ["09:00-17:00"]}}}',
                ": sla.business_hours: time zone 'Mars' is not known",
            ),
            (
                "bad opening hours",
                'sla: {business_hours: {time_zone: UTC, week: {mon: ["9-5"]}}}',
                ": sla.business_hours: mon: '9-5' is not a window; write it as 09:00-17:00.",
            ),
            (
                "opening hours no list",
                'sla: {business_hours: {time_zone: UTC, week: {mon: "09:00-17:00"}}}',
                ': sla.business_hours.week.mon is "09:00-17:00"; it must be a list.',
            ),
            (
                "no guardrail",
                "guardrails: {disabled: [sla.breach]}",
                ": guardrails.disabled: sla.breach is no guardrail; did you mean sla.breach_age?",
            ),
            (
                "misspelt guardrail",
                "guardrails: {disabled: [refund.over_tier]}",
                ": guardrails.disabled: refund.over_tier is no guardrail",
            ),
            (
                "overridable refusal",
                "guardrails: {overridable: [{code: reply.empty, role: lead}]}",
                ": guardrails.overridable: reply.empty is no guardrail.",
            ),
            (
                "contradiction",
                "sla: {minutes: 10}",
                ": sla.priority_minutes (30) is above sla.minutes (10); an urgent case",
            ),
            ("endless number", f"sla: {{minutes: {'9' * 30}}}", "; it can be at most 1000000."),
            ("unknown profile", "profile: production", ': profile "production" is not known.'),
            ("profile no word", "profile: [pilot]", ': profile ["pilot"] is not known.'),
            ("a list", "- sla", " is a list, not keys with values."),
            ("a word", "sixty", " is a single value, not keys with values."),
            ("key twice", "sla:\n  minutes: 45\n  minutes: 50\n", ", line 3: minutes is there twice."),
            ("section twice", "sla: {minutes: 45}\nsla: {minutes: 50}\n", ", line 2: sla is there twice."),
            ("tab", "sla:\n\tminutes: 45", ", line 2: found character '\\t' that cannot start any token."),
            ("unclosed", "sla: {minutes: 45", ", line 1: expected ',' or '}'"),
            ("list as a key", "? [1]\n: 2", ", line 1: found unhashable key."),
            (
                "python tag",
                "!!python/object/apply:os.getcwd []",
                ", line 1: could not determine a constructor",
            ),
            ("zero byte", "sla: \x00", " is not readable YAML: unacceptable character"),
            ("no such day", "sla: {clock: 2025-13-45}", " is not readable YAML: month must be in 1..12."),
            ("too many digits", f"sla: {{minutes: {'9' * 5000}}}", " is not readable YAML: "),
            ("itself inside", "sla: &a [*a]", " is not readable YAML: it nests without end."),
            ("too deep", "[" * 5000, " is not readable YAML: it nests without end."),
            ("not UTF-8", b"sla: \xff\xfe", " is not UTF-8 text."),
            ("half a character", 'labels: {escalate_button: "\\ud800"}', " is not UTF-8 text."),
        ]
    ),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_file_that_cannot_be_used_gets_one_clear_message(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(PolicyError) as error:
        load(tmp_path, text)
    file = str(tmp_path / "policy.yaml")
    assert str(error.value).startswith(file)
    assert said in str(error.value).removeprefix(file)[: len(said) + 60]
    assert str(error.value).count("\n") == 0 and str(error.value)[-1] in ".?"
    assert error.value.hint and error.value.__cause__ is None
    assert not any(
        jargon in str(error.value) for jargon in ("Input should", "pydantic", "tuple", "dict", "_type")
    )


def test_several_problems_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as error:
        load(tmp_path, "sla: {minuts: 1, clock: now}\nalerts: {p95_ms: fast}\n")
    assert [line.partition(": ")[2].split(" ")[0] for line in str(error.value).splitlines()] == [
        "sla.clock",
        "sla.minuts",
        "alerts.p95_ms",
    ]


def test_many_problems_are_counted(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as error:
        load(tmp_path, "".join(f"k{i}: 1\n" for i in range(9)))
    assert str(error.value).splitlines()[5:] == ["… and 4 more"]


def test_a_folder_is_no_policy_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path, Settings({}))


def test_a_long_value_is_cut_short_and_control_characters_are_harmless(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as error:
        load(tmp_path, f'sla: {{minutes: "\\e[31m{"x" * 500}"}}')
    assert "\x1b" not in str(error.value) and len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("text", "given", "minutes", "urgent", "set_by"),
    [
        pytest.param("", "90", 90, 30, {"sla.minutes": "CHATWOOT_SLA_MINUTES"}, id="longer"),
        pytest.param(
            "",
            "15",
            15,
            15,
            {"sla.minutes": "CHATWOOT_SLA_MINUTES", "sla.priority_minutes": "CHATWOOT_SLA_MINUTES"},
            id="shorter than urgent",
        ),
        pytest.param(
            "sla: {minutes: 45}", "30", 30, 30, {"sla.minutes": "CHATWOOT_SLA_MINUTES"}, id="over the file's"
        ),
        pytest.param("sla: {minutes: 45}", "", 45, 30, {"sla.minutes": "policy.yaml"}, id="empty is not set"),
    ],
)
def test_the_environment_s_minutes_stand_above_the_file_s(
    tmp_path: Path, text: str, given: str, minutes: int, urgent: int, set_by: dict[str, str]
) -> None:
    found = load(tmp_path, text, CHATWOOT_SLA_MINUTES=given)
    assert (found.policy.sla.minutes, found.policy.sla.priority_minutes) == (minutes, urgent)
    assert found.set_by == set_by
    assert policies.check(found.policy) == []
