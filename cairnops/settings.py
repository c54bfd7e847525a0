"""Every setting in one table, and the policy in force: environment and policy file are read here only."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cairnops.domain import calendar
from cairnops.domain import policy as policies
from cairnops.domain.policy import Policy
from cairnops.errors import PolicyError, SettingError

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def _flag(text: str) -> bool:
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise ValueError


def _whole(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise ValueError
    return value


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or len(text.split("://", 1)[1]) == 0:
        raise ValueError
    return text.rstrip("/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting: the environment variable, what it means, and how its text is read."""

    name: str
    default: Any
    help: str
    #: What a value may look like, in words.
    accepted: str = "any text"
    parse: Callable[[str], Any] = str
    #: A secret is never printed; only whether it is set.
    secret: bool = False
    #: Other names that are read when this one is not set, in order.
    aliases: tuple[str, ...] = ()


_FLAG_WORDS = "1/0, true/false, yes/no, on/off"

SETTINGS: tuple[Setting, ...] = (
    Setting(name="CAIRNOPS_HOME", default=".cairnops", help="The workspace folder.", accepted="a path"),
    Setting(
        name="CAIRNOPS_ACTOR", default="", help="Who acts when a command has no --as.", accepted="an e-mail"
    ),
    Setting(
        name="CAIRNOPS_SHOP_DOMAIN",
        default="practice.example",
        help="The shop written into every decision.",
        accepted="a domain",
    ),
    Setting(
        name="FEATURE_MODAL_APPROVALS",
        default=True,
        help="Off makes the desk read-only.",
        accepted=_FLAG_WORDS,
        parse=_flag,
        aliases=("FEATURE_FLAG_MODAL_APPROVALS",),
    ),
    Setting(
        name="FEATURE_AI_ESCALATIONS",
        default=False,
        help="Off means templates only, and operators are told so.",
        accepted=_FLAG_WORDS,
        parse=_flag,
        aliases=("FEATURE_FLAG_AI_ESCALATIONS",),
    ),
    Setting(
        name="CHATWOOT_SLA_MINUTES",
        default=None,
        help="Overrides sla.minutes of the policy.",
        accepted="a whole number of minutes above 0",
        parse=_whole,
    ),
    Setting(
        name="CHATWOOT_BASE_URL",
        default="",
        help="The Chatwoot to work against; empty uses the simulator of the workspace.",
        accepted="an http:// or https:// address",
        parse=_url,
    ),
    Setting(
        name="CHATWOOT_ACCOUNT_ID",
        default=1,
        help="The Chatwoot account.",
        accepted="a whole number above 0",
        parse=_whole,
    ),
    Setting(
        name="CHATWOOT_API_TOKEN",
        default="",
        help="The token of a Chatwoot agent.",
        accepted="a token",
        secret=True,
        aliases=("CHATWOOT_TOKEN", "CHATWOOT_ACCESS_TOKEN"),
    ),
    Setting(
        name="SUPABASE_URL",
        default="",
        help="The Supabase project the log is mirrored to.",
        accepted="an http:// or https:// address",
        parse=_url,
    ),
    Setting(
        name="SUPABASE_SERVICE_KEY",
        default="",
        help="The Supabase service key.",
        accepted="a key",
        secret=True,
    ),
)

_BY_NAME = {s.name: s for s in SETTINGS}


class Settings:
    """The settings in force, each with where it came from."""

    def __init__(self, environ: Mapping[str, str] | None = None):
        """Read the environment.

        Raises:
            SettingError: naming the variable, the value and what is accepted; secrets are not repeated.
        """
        environ = os.environ if environ is None else environ
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}
        for setting in SETTINGS:
            name = next((n for n in (setting.name, *setting.aliases) if n in environ), None)
            if name is None or (environ[name] == "" and setting.parse is not _flag):
                self._values[setting.name], self._sources[setting.name] = setting.default, "default"
                continue
            try:
                self._values[setting.name] = setting.parse(environ[name])
            except ValueError:
                shown = "the value given" if setting.secret else repr(environ[name])
                raise SettingError(
                    f"{name}: {shown} is not accepted.", hint=f"Accepted: {setting.accepted}."
                ) from None
            self._sources[setting.name] = f"environment {name}"

    def __getitem__(self, name: str) -> Any:
        """The value in force."""
        return self._values[name]

    def __repr__(self) -> str:
        return f"Settings({', '.join(self._values)})"

    def secrets(self) -> list[str]:
        """The secret values that are set, for whoever must keep them out of a text."""
        return [self._values[s.name] for s in SETTINGS if s.secret and self._values[s.name]]

    def table(self) -> list[dict[str, str]]:
        """Name, value, source and help of every setting; a secret shows only whether it is set."""
        out = []
        for setting in SETTINGS:
            value = self._values[setting.name]
            if setting.secret:
                shown = "set" if value else "not set"
            elif isinstance(value, bool):
                shown = "1" if value else "0"
            else:
                shown = "" if value is None else str(value)
            out.append(
                {
                    "name": setting.name,
                    "value": shown,
                    "source": self._sources[setting.name],
                    "help": setting.help,
                }
            )
        return out


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyInForce:
    """A policy and who set which of its values."""

    policy: Policy
    #: For every leaf that is not the profile's own: `policy.yaml` or the environment variable.
    set_by: dict[str, str]


def load_policy(path: Path | None, settings: Settings) -> PolicyInForce:
    """The policy of a file on top of its profile, with the environment's overrides on top of both.

    The file names a `profile` and the values that differ from it. No file means the `dry-run` profile.

    Raises:
        PolicyError: naming the file, the key and what is accepted.
    """
    data = _policy_data(path)
    name = data.pop("profile", "dry-run")
    if name not in policies.PROFILES:
        raise PolicyError(
            f"{path}: profile {name!r} is not known.", hint=f"Profiles: {', '.join(policies.PROFILES)}."
        )
    base = policies.profile(name)
    policy = _merged(base, data, path) if data else base
    set_by = {leaf: str(path.name if path else "") for leaf, _, _ in policies.diff(base, policy)}
    minutes = settings["CHATWOOT_SLA_MINUTES"]
    if minutes is not None:
        policy = replace(policy, sla=replace(policy.sla, minutes=minutes))
        set_by["sla.minutes"] = "CHATWOOT_SLA_MINUTES"
    return PolicyInForce(policy=policy, set_by=set_by)


def _policy_data(path: Path | None) -> dict[str, Any]:
    import yaml

    if path is None or not path.exists():
        return {}
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise PolicyError(f"{path} is not readable YAML: {error}") from None
    if not isinstance(data, dict):
        raise PolicyError(
            f"{path} is a {type(data).__name__}, not a mapping.", hint="Start it with: profile: dry-run"
        )
    return data


def _merged(base: Policy, data: dict[str, Any], path: Path | None) -> Policy:
    from pydantic import ValidationError

    from cairnops import codec

    whole = codec.plain(base)
    for section, values in data.items():
        if section in whole and isinstance(whole[section], dict) and isinstance(values, dict):
            whole[section] = {**whole[section], **values}
        else:
            whole[section] = values
    try:
        policy = codec.read(Policy, whole)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PolicyError(
            f"{path}: {where}: {first['msg']} (given: {first['input']!r}).",
            hint="cairnops policy show lists every key with its value.",
        ) from None
    problems = calendar.check(policy.sla.business_hours) if policy.sla.business_hours else []
    problems += policies.check(policy)
    if problems:
        raise PolicyError(f"{path}: {problems[0]}", hint="cairnops policy check lists all problems.")
    return policy
