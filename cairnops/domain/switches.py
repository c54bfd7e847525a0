"""What the desk would be without one rule: a policy under which it cannot act.

A rehearsal that stays green without the rule it is about proves nothing, so every rule can be
switched off for a run. A policy file may switch off guardrails only.
"""

from dataclasses import replace

from cairnops.domain.policy import Policy

_NEVER = 10**6


def without(policy: Policy, code: str) -> Policy:
    """The policy with the rule `code` switched off; for a core rule, with the numbers that make it idle."""
    off = replace(policy, guardrails=replace(policy.guardrails, disabled=(*policy.guardrails.disabled, code)))
    match code:
        case "sla.breach":
            return replace(off, sla=replace(off.sla, minutes=_NEVER, priority_minutes=_NEVER))
        case "suggestion.template":
            idle = replace(off.suggestions, ship_words=(), refund_words=(), ship_tags=(), refund_tags=())
            return replace(off, suggestions=idle)
        case "delivery.retry":
            return replace(off, delivery=replace(off.delivery, max_attempts=1))
        case "delivery.at_most_once":
            return replace(off, delivery=replace(off.delivery, look_up=False))
        case _:
            return off
