"""Which role takes which part, and what the others are told."""

import pytest

from cairnops.domain import duties
from cairnops.domain.conversations import Role
from cairnops.domain.duties import Duty

PARTS = {
    Role.OPERATOR: {Duty.ACT},
    Role.LEAD: {Duty.ACT, Duty.FACILITATE, Duty.REVIEW},
    Role.MANAGER: {Duty.ACT, Duty.FACILITATE, Duty.REVIEW},
    Role.ADMIN: {Duty.ACT, Duty.FACILITATE, Duty.REVIEW},
    Role.QA: {Duty.REVIEW},
    Role.ANALYST: {Duty.REVIEW},
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("duty", Duty)
def test_a_role_takes_its_parts_and_no_other(role: Role, duty: Duty) -> None:
    assert duties.allowed(role, duty) is (duty in PARTS[role])
    said = duties.refusal(role, duty)
    assert (said == "") is duties.allowed(role, duty)
    if said:
        assert said.startswith(f"The role {role.value} does not {duty.value}; these do: ")
        assert "lead, manager, admin" in said and role.value not in said.partition(";")[2]


@pytest.mark.parametrize("role", Role)
def test_whoever_may_act_at_the_desk_is_whoever_takes_the_part_of_acting(role: Role) -> None:
    assert duties.allowed(role, Duty.ACT) is (role.rank > 0)
