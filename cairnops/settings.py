"""Every setting in one table: the environment is read here only."""

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from cairnops.errors import SettingError

if TYPE_CHECKING:
    from cairnops.domain.conversations import Role

# The domain is imported where it is needed: most settings are read without it, by commands that are over
# before it would have loaded.

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def _flag(text: str) -> bool:
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise ValueError


def _whole(text: str) -> int:
    value = int(text)
    if not 0 < value <= 1_000_000:
        raise ValueError
    return value


def _word(text: str) -> str:
    """One run of printable ASCII; a token copied with its line end is meant without it."""
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    return text


def _address_end(text: str) -> str:
    """What may end an address as it is, and is too long to be guessed."""
    text = text.strip()
    if len(text) < 12 or not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError
    return text


def _roles(text: str) -> str:
    """`group=role` pairs with commas between."""
    from cairnops.domain.conversations import Role

    known = {role.value for role in Role}
    for pair in text.split(","):
        group, equals, role = pair.strip().rpartition("=")
        if not group or not equals or role not in known:
            raise ValueError
    return text.strip()


def _names(text: str) -> str:
    """Names with commas between, as the help desk's pages show them."""
    if not text.isprintable() or not all(name.strip() for name in text.split(",")):
        raise ValueError
    return ", ".join(name.strip() for name in text.split(","))


def _statuses(text: str) -> str:
    from cairnops.domain.conversations import Status

    if not {name.strip() for name in text.split(",")} <= {status.value for status in Status}:
        raise ValueError
    return _names(text)


def _headers(text: str) -> str:
    """`name=value` pairs with commas between; a pair that is none is repeated in the log of the library."""
    text = _word(text)
    for pair in text.split(","):
        if not re.fullmatch(r"[\w.-]+=[^\s\",;\\]+", pair, re.ASCII):
            raise ValueError
    return text


def _email(text: str) -> str:
    name, _, domain = _word(text).rpartition("@")
    if not name or not domain:
        raise ValueError
    return text.strip()


def _url(text: str) -> str:
    text = _word(text)
    parts = urlsplit(text)
    # A password in an address would be shown wherever the address is.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError
    if parts.query or parts.fragment or parts.port == 0:
        raise ValueError
    return text.rstrip("/")


def _database(text: str) -> str:
    """An address of PostgreSQL; what it says of drivers is ours to choose."""
    text = _word(text)
    parts = urlsplit(text)
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres") or parts.fragment or parts.port == 0:
        raise ValueError
    if not parts.path.strip("/"):
        raise ValueError
    return f"postgresql://{text.partition('://')[2]}"


class Setting(NamedTuple):
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
        name="DATABASE_URL",
        default="",
        help="The PostgreSQL a team shares; empty keeps the ledger in the workspace folder.",
        accepted="the address of a PostgreSQL database: user, password, host, port and name",
        parse=_database,
        secret=True,
    ),
    Setting(
        name="CAIRNOPS_ACTOR",
        default="",
        help="Who acts when a command has no --as.",
        accepted="an e-mail address",
        parse=_email,
    ),
    Setting(
        name="CAIRNOPS_SHOP_DOMAIN",
        default="practice.example",
        help="The shop written into every decision.",
        accepted="a domain, without blanks",
        parse=_word,
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
        accepted="a whole number of minutes from 1 to 1000000",
        parse=_whole,
    ),
    Setting(
        name="CHATWOOT_BASE_URL",
        default="",
        help="The Chatwoot to work against; empty uses the simulator of the workspace.",
        accepted="an http:// or https:// address, without user, password and query",
        parse=_url,
    ),
    Setting(
        name="CHATWOOT_ACCOUNT_ID",
        default=1,
        help="The Chatwoot account.",
        accepted="a whole number from 1 to 1000000",
        parse=_whole,
    ),
    Setting(
        name="CHATWOOT_API_TOKEN",
        default="",
        help="The token of a Chatwoot agent.",
        accepted="a token: printable characters, no blanks",
        parse=_word,
        secret=True,
        aliases=("CHATWOOT_TOKEN", "CHATWOOT_ACCESS_TOKEN"),
    ),
    Setting(
        name="CHATWOOT_STATUSES",
        default="open, pending",
        help="Read only conversations in one of these statuses.",
        accepted="some of open, pending, snoozed, resolved, with commas between",
        parse=_statuses,
    ),
    Setting(
        name="CHATWOOT_LABELS",
        default="",
        help="Read only conversations with one of these labels; empty reads all.",
        accepted="names with commas between",
        parse=_names,
    ),
    Setting(
        name="CHATWOOT_INBOXES",
        default="",
        help="Read only conversations in one of these inboxes; empty reads all.",
        accepted="names with commas between",
        parse=_names,
    ),
    Setting(
        name="CHATWOOT_TEAMS",
        default="",
        help="Read only conversations given to one of these teams; empty reads all.",
        accepted="names with commas between",
        parse=_names,
    ),
    Setting(
        name="CHATWOOT_WEBHOOK_SECRET",
        default="",
        help="The secret Chatwoot shows for its webhook, and signs deliveries with.",
        accepted="a key: printable characters, no blanks",
        parse=_word,
        secret=True,
    ),
    Setting(
        name="CHATWOOT_WEBHOOK_TOKEN",
        default="",
        help="The end of the webhook's address, for a Chatwoot before 4.11.2, which signs nothing.",
        accepted="12 or more letters, digits, hyphens and underscores",
        parse=_address_end,
        secret=True,
    ),
    Setting(
        name="SUPABASE_URL",
        default="",
        help="The Supabase project the log is mirrored to.",
        accepted="an http:// or https:// address, without user, password and query",
        parse=_url,
    ),
    Setting(
        name="SUPABASE_SERVICE_KEY",
        default="",
        help="The Supabase service key.",
        accepted="a key: printable characters, no blanks",
        parse=_word,
        secret=True,
    ),
    Setting(
        name="SUPABASE_ANON_KEY",
        default="",
        help="The Supabase key anybody may have, to look whether it is refused.",
        accepted="a key: printable characters, no blanks",
        parse=_word,
        secret=True,
    ),
    Setting(
        name="OIDC_METADATA_URL",
        default="",
        help="Where the desk's identity provider describes itself; empty means practice identities.",
        accepted="an http:// or https:// address, without user, password and query",
        parse=_url,
    ),
    Setting(name="OIDC_CLIENT_ID", default="", help="The desk's id at the identity provider.", parse=_word),
    Setting(
        name="OIDC_CLIENT_SECRET",
        default="",
        help="The desk's secret at the identity provider.",
        accepted="a key: printable characters, no blanks",
        parse=_word,
        secret=True,
    ),
    Setting(
        name="OIDC_ROLES",
        default="",
        help="Which of the provider's groups have which role at the desk.",
        accepted="group=role pairs with commas between, such as cx-operators=operator,cx-leads=lead",
        parse=_roles,
    ),
    Setting(
        name="CAIRNOPS_APP_URL",
        default="",
        help="Where browsers find the desk, when that is not the address it listens on.",
        accepted="an http:// or https:// address, without user, password and query",
        parse=_url,
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        default="",
        help="Where the desk and workers send spans (OTLP over HTTP); empty sends none.",
        accepted="an http:// or https:// address, without user, password and query",
        parse=_url,
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_HEADERS",
        default="",
        help="What is sent with them, as OpenTelemetry reads it.",
        accepted="name=value pairs with commas between, blanks as %20",
        parse=_headers,
        secret=True,
    ),
    Setting(
        name="CAIRNOPS_COOKIE_SECRET",
        default="",
        help="Signs the desk's sign-in cookie; fresh at each start when not set.",
        accepted="a key: printable characters, no blanks",
        parse=_word,
        secret=True,
    ),
)

#: What a secret is set to that the operating system keeps; behind it stands the service it is kept for.
_KEYRING = "keyring:"

_BY_NAME = {s.name: s for s in SETTINGS}


class Settings:
    """The settings in force, each with where it came from."""

    def __init__(self, environ: Mapping[str, str] | None = None):
        """Read the environment, and the keyring for each secret that is set to `keyring:SERVICE`.

        Raises:
            SettingError: naming the variable, the value and what is accepted; secrets are not repeated.
        """
        environ = os.environ if environ is None else environ
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}
        for setting in SETTINGS:
            # For a flag an empty text means off; anything else that is empty counts as not set.
            names = (n for n in (setting.name, *setting.aliases) if n in environ)
            name = next((n for n in names if setting.parse is _flag or environ[n].strip()), None)
            if name is None:
                self._values[setting.name], self._sources[setting.name] = setting.default, "default"
                continue
            text, source = environ[name], f"environment {name}"
            if setting.secret and text.strip().startswith(_KEYRING):
                source = text.strip()
                text = _from_keyring(source.removeprefix(_KEYRING), setting.name)
            try:
                self._values[setting.name] = setting.parse(text)
            except ValueError:
                hidden = setting.secret or (setting.parse is _url and "@" in environ[name])
                shown = "the value given" if hidden else ascii(environ[name])
                raise SettingError(
                    f"{name}: {shown} is not accepted.", hint=f"Accepted: {setting.accepted}."
                ) from None
            self._sources[setting.name] = source

    def __getitem__(self, name: str) -> Any:
        """The value in force."""
        return self._values[name]

    def given(self, name: str) -> bool:
        """Whether somebody set it, as opposed to the default."""
        return self._sources[name] != "default"

    def __repr__(self) -> str:
        return f"Settings({', '.join(self._values)})"

    def secrets(self) -> list[str]:
        """The secret values that are set, for whoever must keep them out of a text."""
        kept = [self._values[s.name] for s in SETTINGS if s.secret and self._values[s.name]]
        headers = self["OTEL_EXPORTER_OTLP_HEADERS"]
        kept += [pair.partition("=")[2] for pair in headers.split(",") if pair]
        password = urlsplit(self["DATABASE_URL"]).password
        return [*kept, password, unquote(password)] if password else kept

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


def listed(text: str) -> tuple[str, ...]:
    """The names of a setting that holds several."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _from_keyring(service: str, name: str) -> str:
    """The secret the operating system's keyring keeps for a service under a setting's name.

    Raises:
        SettingError: when there is no keyring, or it keeps none.
    """
    command = f"keyring set {service or 'SERVICE'} {name}"
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise SettingError(
            f"{name} is to come from a keyring, and none can be read.",
            hint="pip install 'cairnops[keyring]'",
        ) from None
    try:
        kept = keyring.get_password(service, name) if service else None
    except KeyringError as error:
        raise SettingError(
            f"{name} is to come from the keyring, which cannot be read ({type(error).__name__}).",
            hint="Unlock it, or set the secret itself in the environment.",
        ) from None
    if not kept:
        where = f"keeps none for {service!a}" if service else "is asked for none: name the service"
        raise SettingError(f"{name} is to come from the keyring, which {where}.", hint=command)
    return str(kept)


def roles_of_groups(settings: Settings) -> "dict[str, Role]":
    """OIDC_ROLES as a table: the provider's group, and the role it has here."""
    from cairnops.domain.conversations import Role

    pairs = (pair.strip().rpartition("=") for pair in settings["OIDC_ROLES"].split(",") if pair.strip())
    return {group: Role(role) for group, _, role in pairs}
