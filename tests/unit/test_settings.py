"""Every setting: what it takes, what it refuses and how it says so; and secrets, which are never said."""

from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from cairnops.errors import SettingError
from cairnops.settings import SETTINGS, Settings

URL = "an http:// or https:// address, without user, password and query"
WHOLE = "a whole number from 1 to 1000000"
FLAGS = ("FEATURE_MODAL_APPROVALS", "FEATURE_AI_ESCALATIONS")
SECRETS = tuple(s.name for s in SETTINGS if s.secret)


def test_the_table_of_settings_is_sound() -> None:
    names = [n for s in SETTINGS for n in (s.name, *s.aliases)]
    assert len(names) == len(set(names))
    assert all(s.help.endswith(".") and s.accepted for s in SETTINGS)
    assert {"DATABASE_URL", "CHATWOOT_API_TOKEN", "SUPABASE_SERVICE_KEY"} <= set(SECRETS)


def test_the_defaults_stand_when_nothing_is_set() -> None:
    found = Settings({})
    assert all(found[s.name] == s.default for s in SETTINGS)
    assert {row["source"] for row in found.table()} == {"default"}


GOOD = [
    ("CAIRNOPS_HOME", "/tmp/desk", "/tmp/desk"),
    ("DATABASE_URL", "postgresql://sam:x@db.example:6543/desk", "postgresql://sam:x@db.example:6543/desk"),
    (
        "DATABASE_URL",
        "postgres://sam@db.example/desk?sslmode=require",
        "postgresql://sam@db.example/desk?sslmode=require",
    ),
    ("DATABASE_URL", "postgresql+psycopg://sam@/desk?host=/run", "postgresql://sam@/desk?host=/run"),
    ("CAIRNOPS_ACTOR", "sam@example.com", "sam@example.com"),
    ("CAIRNOPS_SHOP_DOMAIN", "shop.example", "shop.example"),
    *((flag, text, True) for flag in FLAGS for text in ("1", "true", "YES", " on ", "True")),
    *((flag, text, False) for flag in FLAGS for text in ("0", "false", "No", " off ", "", " ")),
    ("CHATWOOT_SLA_MINUTES", "30", 30),
    ("CHATWOOT_SLA_MINUTES", " 1 ", 1),
    ("CHATWOOT_SLA_MINUTES", "1000000", 1_000_000),
    ("CHATWOOT_BASE_URL", "https://desk.example/", "https://desk.example"),
    ("CHATWOOT_BASE_URL", "http://127.0.0.1:3000", "http://127.0.0.1:3000"),
    ("CHATWOOT_BASE_URL", "HTTPS://desk.example/path", "HTTPS://desk.example/path"),
    ("CHATWOOT_ACCOUNT_ID", "7", 7),
    ("CHATWOOT_API_TOKEN", "t0ken-_.=+/", "t0ken-_.=+/"),
    ("CHATWOOT_API_TOKEN", "copied-with-its-line-end\n", "copied-with-its-line-end"),
    ("CHATWOOT_STATUSES", "open,snoozed", "open, snoozed"),
    ("CHATWOOT_LABELS", "vip", "vip"),
    ("CHATWOOT_INBOXES", " Mail , Web shop", "Mail, Web shop"),
    ("CHATWOOT_TEAMS", "CX leads, 3", "CX leads, 3"),
    ("CHATWOOT_WEBHOOK_SECRET", "5t7o-_.=+/", "5t7o-_.=+/"),
    ("CHATWOOT_WEBHOOK_TOKEN", "0123456789abc-_Z\n", "0123456789abc-_Z"),
    ("SUPABASE_URL", "https://x.supabase.example", "https://x.supabase.example"),
    ("SUPABASE_SERVICE_KEY", "ey.J.x", "ey.J.x"),
    ("SUPABASE_ANON_KEY", "sb_publishable_x", "sb_publishable_x"),
    ("SUPABASE_ANON_KEY", "ey.J.y", "ey.J.y"),
    (
        "OIDC_METADATA_URL",
        "https://id.example/.well-known/openid-configuration",
        "https://id.example/.well-known/openid-configuration",
    ),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/", "http://127.0.0.1:4318"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x,team=cx", "authorization=Bearer%20x,team=cx"),
    ("OIDC_CLIENT_ID", "desk", "desk"),
    ("OIDC_CLIENT_SECRET", "s3cret", "s3cret"),
    ("OIDC_ROLES", "cx-leads=lead, everybody=analyst", "cx-leads=lead, everybody=analyst"),
    ("CAIRNOPS_APP_URL", "https://desk.example/", "https://desk.example"),
    ("CAIRNOPS_COOKIE_SECRET", "c00kie", "c00kie"),
]


@pytest.mark.parametrize(("name", "text", "value"), [pytest.param(*c, id=f"{c[0]}={c[1]!r}") for c in GOOD])
def test_a_good_value_is_taken(name: str, text: str, value: object) -> None:
    found = Settings({name: text})
    assert found[name] == value and type(found[name]) is type(value)
    assert next(row for row in found.table() if row["name"] == name)["source"] == f"environment {name}"


def test_every_setting_has_a_good_case() -> None:
    assert {s.name for s in SETTINGS} == {case[0] for case in GOOD}


BAD = [
    ("CAIRNOPS_ACTOR", "sam", "an e-mail address"),
    ("CAIRNOPS_ACTOR", "@example.com", "an e-mail address"),
    ("CAIRNOPS_ACTOR", "Sam <sam@example.com>", "an e-mail address"),
    ("CAIRNOPS_SHOP_DOMAIN", "my shop", "a domain, without blanks"),
    *((flag, text, "1/0, true/false, yes/no, on/off") for flag in FLAGS for text in ("2", "maybe", "y", "-1")),
    *(
        ("CHATWOOT_SLA_MINUTES", text, "a whole number of minutes from 1 to 1000000")
        for text in ("0", "-30", "30.5", "half an hour", "1000001", "9" * 5000, "0x1e", "1e3")
    ),
    *(("CHATWOOT_ACCOUNT_ID", text, WHOLE) for text in ("0", "one", "-1")),
    *(
        ("CHATWOOT_STATUSES", text, "some of open, pending, snoozed, resolved, with commas between")
        for text in ("closed", "open,,pending", "open;pending")
    ),
    *(
        (name, text, "names with commas between")
        for name in ("CHATWOOT_LABELS", "CHATWOOT_INBOXES", "CHATWOOT_TEAMS")
        for text in (",", "vip,", "a\nb")
    ),
    *(
        (name, text, URL)
        for name in ("CHATWOOT_BASE_URL", "SUPABASE_URL")
        for text in (
            "desk.example", "ftp://desk.example", "https://", "https:///path", "https://desk example",
            "https://desk.example:99999", "https://desk.example?token=1", "javascript:alert(1)",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "accepted"), [pytest.param(*c, id=f"{c[0]}={c[1][:24]!r}") for c in BAD]
)
def test_a_bad_value_is_named_with_what_is_accepted(name: str, text: str, accepted: str) -> None:
    with pytest.raises(SettingError) as error:
        Settings({name: text})
    assert str(error.value) == f"{name}: {text!r} is not accepted."
    assert error.value.hint == f"Accepted: {accepted}."
    assert error.value.__suppress_context__


@pytest.mark.parametrize("name", [s.name for s in SETTINGS if s.name not in FLAGS])
@pytest.mark.parametrize("text", ["", " "], ids=["empty", "blank"])
def test_an_empty_value_is_not_set(name: str, text: str) -> None:
    found = Settings({name: text})
    assert found[name] == next(s.default for s in SETTINGS if s.name == name)


@pytest.mark.parametrize(
    ("environ", "value", "source"),
    [
        pytest.param({"FEATURE_FLAG_AI_ESCALATIONS": "yes"}, True, "FEATURE_FLAG_AI_ESCALATIONS", id="the older name"),
        pytest.param(
            {"FEATURE_FLAG_AI_ESCALATIONS": "1", "FEATURE_AI_ESCALATIONS": "0"}, False, "FEATURE_AI_ESCALATIONS",
            id="FEATURE_ stands above FEATURE_FLAG_",
        ),
        pytest.param(
            {"FEATURE_FLAG_AI_ESCALATIONS": "1", "FEATURE_AI_ESCALATIONS": ""}, False, "FEATURE_AI_ESCALATIONS",
            id="an empty FEATURE_ is off",
        ),
    ],
)  # fmt: skip
def test_a_flag_has_two_names(environ: dict[str, str], value: bool, source: str) -> None:
    found = Settings(environ)
    assert found["FEATURE_AI_ESCALATIONS"] is value
    row = next(row for row in found.table() if row["name"] == "FEATURE_AI_ESCALATIONS")
    assert row["source"] == f"environment {source}"


@pytest.mark.parametrize(
    ("environ", "token"),
    [
        pytest.param({"CHATWOOT_TOKEN": "b"}, "b", id="an older name"),
        pytest.param({"CHATWOOT_ACCESS_TOKEN": "c", "CHATWOOT_TOKEN": "b"}, "b", id="the first of two"),
        pytest.param({"CHATWOOT_API_TOKEN": "a", "CHATWOOT_TOKEN": "b"}, "a", id="its own name first"),
        pytest.param({"CHATWOOT_API_TOKEN": "", "CHATWOOT_TOKEN": "b"}, "b", id="an empty one hides nothing"),
    ],
)
def test_a_token_has_three_names(environ: dict[str, str], token: str) -> None:
    assert Settings(environ)["CHATWOOT_API_TOKEN"] == token


CANARY = "canary-3f9a1c"


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_never_shown(name: str) -> None:
    inside = {
        "DATABASE_URL": f"postgresql://sam:{CANARY}@db.example/desk",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={CANARY}",
    }
    text = inside.get(name, CANARY)
    found = Settings({name: text})
    assert found[name] == text and {text, CANARY} == set(found.secrets())
    assert CANARY not in repr(found) + str(found) + repr(found.table())
    assert next(row for row in found.table() if row["name"] == name)["value"] == "set"
    assert next(row for row in Settings({}).table() if row["name"] == name)["value"] == "not set"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(pytest.param(name, f"{CANARY} x", id=f"{name}: a blank inside") for name in SECRETS),
        *(pytest.param(name, f"{CANARY}\r\nX-Header:1", id=f"{name}: a second header") for name in SECRETS),
        *(pytest.param(name, f"{CANARY}é", id=f"{name}: not ASCII") for name in SECRETS),
        pytest.param(
            "CHATWOOT_BASE_URL", f"https://sam:{CANARY}@desk.example", id="a password in an address"
        ),
        pytest.param("SUPABASE_URL", f"ftp://{CANARY}@x.example", id="a user in an address"),
        pytest.param("DATABASE_URL", f"mysql://sam:{CANARY}@h/d", id="another database"),
        pytest.param("DATABASE_URL", f"postgresql://sam:{CANARY}@h", id="no name of a database"),
        pytest.param("DATABASE_URL", f"postgresql://sam:{CANARY}@h:0/d", id="no such port"),
        pytest.param("DATABASE_URL", f"postgresql://sam:{CANARY}@h:no/d", id="no port"),
        pytest.param("DATABASE_URL", f"/var/{CANARY}.db", id="a file"),
    ],
)
def test_a_secret_that_is_not_accepted_is_not_repeated(name: str, text: str) -> None:
    with pytest.raises(SettingError) as error:
        Settings({name: text})
    assert str(error.value) == f"{name}: the value given is not accepted."
    assert CANARY not in str(error.value) + error.value.hint + repr(error.value)


def test_nothing_but_its_own_names_is_read() -> None:
    assert (
        Settings({"HOME": "/x", "SLA_MINUTES": "5", "chatwoot_sla_minutes": "5"})["CHATWOOT_SLA_MINUTES"]
        is None
    )


def test_without_an_environment_the_process_s_own_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATWOOT_SLA_MINUTES", "45")
    assert Settings()["CHATWOOT_SLA_MINUTES"] == 45


@pytest.mark.parametrize("text", ["short", "0123456789/ab", "0123456789\u00e9\u00e9", "-" * 12])
def test_the_end_of_an_address_is_long_enough_and_plain(text: str) -> None:
    with pytest.raises(SettingError) as error:
        Settings({"CHATWOOT_WEBHOOK_TOKEN": text})
    assert text not in str(error.value)
    assert error.value.hint == "Accepted: 12 or more letters, digits, hyphens and underscores."


# -- the keyring


class Kept(KeyringBackend):
    """A keyring of one's own, as the library takes any."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked(f"{CANARY} is locked away")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture
def kept() -> Iterator[Kept]:
    before = keyring.get_keyring()
    fresh = Kept()
    keyring.set_keyring(fresh)
    yield fresh
    keyring.set_keyring(before)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_be_kept_in_the_keyring(name: str, kept: Kept) -> None:
    inside = {"DATABASE_URL": f"postgresql://sam:{CANARY}@h/d", "OTEL_EXPORTER_OTLP_HEADERS": f"a={CANARY}"}
    keyring.set_password("team", name, inside.get(name, CANARY))
    found = Settings({name: " keyring:team "})
    assert found[name] == inside.get(name, CANARY) and CANARY in found.secrets()
    row = next(row for row in found.table() if row["name"] == name)
    assert (row["value"], row["source"]) == ("set", "keyring:team")


@pytest.mark.parametrize(
    ("value", "held", "said"),
    [
        pytest.param("keyring:team", None, "keeps none for 'team'", id="nothing there"),
        pytest.param("keyring:", None, "name the service", id="no service"),
        pytest.param("keyring:team", f"{CANARY} x", "the value given is not accepted", id="no token"),
        pytest.param("keyring:team", "locked", "cannot be read (KeyringLocked)", id="locked"),
    ],
)
def test_what_the_keyring_does_not_give_is_said_without_it(
    kept: Kept, value: str, held: str | None, said: str
) -> None:
    kept.locked = held == "locked"
    if held:
        kept.held["team", "SUPABASE_SERVICE_KEY"] = held
    with pytest.raises(SettingError) as refused:
        Settings({"SUPABASE_SERVICE_KEY": value})
    assert said in str(refused.value) and CANARY not in str(refused.value) + refused.value.hint


def test_only_secrets_are_looked_for_there(kept: Kept) -> None:
    kept.held["team", "OIDC_CLIENT_ID"] = "x"
    assert Settings({"OIDC_CLIENT_ID": "keyring:team"})["OIDC_CLIENT_ID"] == "keyring:team"
