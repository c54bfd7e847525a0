"""The policy in force: a policy file on top of its profile, with what the environment sets on top of both."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from cairnops.domain import policy as policies
from cairnops.domain.policy import Policy
from cairnops.errors import PolicyError
from cairnops.settings import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class PolicyInForce(NamedTuple):
    """A policy and who set which of its values."""

    policy: Policy
    #: For every leaf that is not the profile's own: `policy.yaml` or the environment variable.
    set_by: dict[str, str]

    def overrides(self) -> list["Override"]:
        """Every value that is not the profile's, in the order of the policy's keys."""
        base = policies.profile(self.policy.profile)
        return [
            Override(key=key, value=value, instead=theirs, by=self.set_by.get(key, ""))
            for key, theirs, value in policies.diff(base, self.policy)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """One value of a policy that is not its profile's."""

    key: str
    value: object
    #: What the profile says.
    instead: object
    #: As in `PolicyInForce.set_by`; empty when nobody knows.
    by: str


def load_policy(path: Path | None, settings: Settings) -> PolicyInForce:
    """The policy of a file on top of its profile, with the environment's overrides on top of both.

    The file names a `profile` and the values that differ from it. No file means the `dry-run` profile.
    CHATWOOT_SLA_MINUTES also lowers `sla.priority_minutes` where that would be longer: an urgent case
    never waits longer than any other.

    Raises:
        PolicyError: naming the file, and of each problem the key, the value given and what is accepted.
    """
    data = _policy_data(path) if path is not None and path.exists() else {}
    name = data.pop("profile", "dry-run")
    if name not in policies.PROFILES:
        raise PolicyError(
            f"{path}: profile {_shown(name)} is not known.", hint=f"Profiles: {', '.join(policies.PROFILES)}."
        )
    base = policies.profile(name)
    policy = _merged(base, data, path) if data else base
    set_by = {leaf: str(path.name if path else "") for leaf, _, _ in policies.diff(base, policy)}
    minutes = settings["CHATWOOT_SLA_MINUTES"]
    if minutes is not None:
        urgent = min(minutes, policy.sla.priority_minutes)
        if urgent != policy.sla.priority_minutes:
            set_by["sla.priority_minutes"] = "CHATWOOT_SLA_MINUTES"
        policy = replace(policy, sla=replace(policy.sla, minutes=minutes, priority_minutes=urgent))
        set_by["sla.minutes"] = "CHATWOOT_SLA_MINUTES"
    return PolicyInForce(policy=policy, set_by=set_by)


def _policy_data(path: Path) -> dict[str, Any]:
    """The file as JSON data, or a PolicyError that says where it stops being YAML."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            # YAML lets the last of two equal keys win: a threshold set twice would be the wrong one.
            seen: set[str] = set()
            for key in (k for k, _ in node.value if isinstance(k, yaml.ScalarNode)):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"{key.value} is there twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        data = _plain(yaml.load(path.read_text(encoding="utf-8"), Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise PolicyError(f"{path}{place}: {error.problem or error.context}.", hint=_YAML_HINT) from None
    except UnicodeError:
        raise PolicyError(f"{path} is not UTF-8 text.", hint=_YAML_HINT) from None
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = "it nests without end" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
        raise PolicyError(f"{path} is not readable YAML: {why}.", hint=_YAML_HINT) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else "a single value"
        raise PolicyError(f"{path} is {what}, not keys with values.", hint="Start it with: profile: dry-run")
    return data


_YAML_HINT = "A policy file is YAML: `profile: dry-run`, then sections with indented keys."


def _plain(value: Any) -> Any:
    """YAML's data as JSON's: keys are texts, and what JSON does not know (dates) is the text it was."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, str):
        value.encode()
        return value
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _merged(base: Policy, data: dict[str, Any], path: Path | None) -> Policy:
    # A file is checked by half the domain; without one nobody waits for that to load.
    from pydantic import TypeAdapter, ValidationError

    from cairnops import codec
    from cairnops.domain import calendar

    whole = codec.plain(base)
    for section, values in data.items():
        if isinstance(whole.get(section), dict) and isinstance(values, dict | None):
            # A section whose every line is commented out is empty, and changes nothing.
            whole[section] = {**whole[section], **(values or {})}
        else:
            whole[section] = values
    try:
        # Strict: otherwise `minutes: yes` would be one minute.
        policy = TypeAdapter(Policy).validate_json(json.dumps(whole), strict=True)
    except ValidationError as error:
        _refuse(path, [_problem(e) for e in error.errors()])
    hours = policy.sla.business_hours
    problems = [f"sla.business_hours: {p}" for p in (calendar.check(hours) if hours else [])]
    problems += policies.check(policy)
    problems += _no_guardrails("guardrails.disabled", policy.guardrails.disabled)
    problems += _no_guardrails("guardrails.overridable", [o.code for o in policy.guardrails.overridable])
    if problems:
        _refuse(path, problems)
    return policy


def _refuse(path: Path | None, problems: list[str]) -> NoReturn:
    lines = [f"{path}: {p}{'' if p.endswith('?') else '.'}" for p in problems[:5]]
    if len(problems) > 5:
        lines.append(f"… and {len(problems) - 5} more")
    raise PolicyError("\n".join(lines), hint="Correct the file, then: cairnops policy check.")


def _problem(error: "ErrorDetails") -> str:
    """A finding of the validator in the words of somebody who keeps a policy file."""
    where = ""
    for part in error["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else part
    kind, expected = error["type"], error.get("ctx", {}).get("expected", "").replace("'", "")
    if kind == "unexpected_keyword_argument":
        return f"{where} is not a key of the policy{_did_you_mean(where, _keys())}"
    if kind == "missing":
        return f"{where} is missing"
    accepted = _ACCEPTED.get(kind) or (f"one of {expected}" if expected else error["msg"])
    return f"{where} is {_shown(error['input'])}; it must be {accepted}"


def _keys() -> tuple[str, ...]:
    """Every key a policy file may have."""
    leaves = (leaf for leaf, _ in policies.flatten(Policy()))
    return tuple(dict.fromkeys(key for leaf in leaves for key in (leaf.partition(".")[0], leaf)))


_ACCEPTED = {
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "dataclass_type": "keys with values",
}


def _no_guardrails(key: str, codes: Iterable[str]) -> Iterator[str]:
    from cairnops.domain import guardrails

    known = [guard.rule.code for guard in guardrails.GUARDRAILS]
    return (
        f"{key}: {code} is no guardrail{_did_you_mean(code, known)}" for code in codes if code not in known
    )


def _did_you_mean(given: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(given, known, n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
