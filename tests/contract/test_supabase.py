"""The Supabase migrations on a real PostgreSQL, applied as a project's owner is: who may see, add and remove what."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cairnops.desk.desk import Desk
from cairnops.domain.checkpoints import Key
from cairnops.domain.conversations import Actor, Role
from cairnops.domain.delivery import Answer, FinalStatus, Result
from cairnops.domain.requests import Request
from cairnops.evidence import exports
from cairnops.store import migrations
from cairnops.store import tables as t
from cairnops.store.engine import open_database, reading
from cairnops.store.keys import Signing
from cairnops.store.ledger import SqlLedger
from cairnops.store.outbox import SqlOutbox
from cairnops.store.seals import SqlSeals

FILES = sorted((Path(__file__).parents[2] / "supabase" / "migrations").glob("*.sql"))
AT = datetime(2025, 10, 16, 18, 0, tzinfo=UTC)
ROLES = ("anon", "authenticated", "service_role")
TABLES = sorted(t.metadata.tables)
GROWING = sorted(table.name for table in t.APPEND_ONLY)
#: What an authenticated person reads of; of all others nothing.
READABLE = {"decision", "effect", "attempt", "sync_event", "seal", "checkpoint", "ledger_key"}
DENIED = "permission denied"


def supabase(url: str) -> None:
    """A database as Supabase gives it, with the migrations applied by its owner, who is no superuser."""
    with psycopg.connect(url, autocommit=True) as c:
        for statement in (
            "GRANT ALL ON SCHEMA public TO project_owner WITH GRANT OPTION",
            "GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role",
            "ALTER DEFAULT PRIVILEGES FOR ROLE project_owner IN SCHEMA public "
            "GRANT ALL ON TABLES TO anon, authenticated, service_role",
            "ALTER DEFAULT PRIVILEGES FOR ROLE project_owner IN SCHEMA public "
            "GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role",
        ):
            c.execute(statement)
    for file in FILES:
        with psycopg.connect(_owner(url)) as c:
            c.execute(file.read_text(encoding="utf-8"))


def _owner(url: str) -> str:
    return url.replace("postgres@", "project_owner@")


class Project:
    """A project of one's own."""

    def __init__(self, url: str):
        self.url = url

    @property
    def owner(self) -> str:
        """How the team's desks and workers come."""
        return _owner(self.url)

    @contextmanager
    def as_(self, role: str, email: str = "", cairnops_role: str = "") -> Iterator[psycopg.Cursor[Any]]:
        """As PostgREST comes for the bearer of a token; rolled back."""
        claims = {"role": role, "email": email, "app_metadata": {"cairnops_role": cairnops_role}}
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('request.jwt.claims', %s, true)", (json.dumps(claims),))
            cursor.execute(f"SET LOCAL ROLE {role}")
            yield cursor
            connection.rollback()


def steps() -> ModuleType:
    spec = importlib.util.spec_from_file_location("steps", Path(__file__).with_name("steps.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(postgresql: Any) -> Iterator[Project]:
    server = postgresql.server
    with server.database(server.template(supabase)) as url:
        yield Project(url)


@pytest.fixture
def worked(
    project: Project, desk_on: Callable[..., Desk], approve: Callable[..., Request]
) -> Iterator[Project]:
    """Two operators decided; what the first decided is sealed and delivered."""
    engine = open_database(project.owner, Path())
    desk = desk_on(SqlLedger(engine), "101", "102")
    desk.submit(approve("k1", actor=Actor(email="alex@shop.example")))
    outbox = SqlOutbox(engine)
    while (claim := outbox.claim("w", now_ms=1, lease_ms=9)) is not None:
        done = Result(answer=Answer.OK)
        outbox.finish(claim, FinalStatus.SUCCESS, at=AT, result=done, duration_us=1_234_565, recovered=False)
    private = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    signing = Signing(Key("shop.example/cairnops/1", private.public_key().public_bytes_raw()), private)
    SqlSeals(engine).seal(signing, AT, Actor(email="morgan@shop.example", role=Role.LEAD))
    desk.submit(approve("k2", actor=Actor(email="sam@shop.example"), conversation="102"))
    engine.dispose()
    yield project


# The tables


def test_the_tables_are_the_stores(project: Project, postgresql: Any) -> None:
    assert FILES[0].read_text(encoding="utf-8") == steps().supabase()
    assert FILES[2].read_text(encoding="utf-8") == steps().retention()
    engine = open_database(project.url, Path())
    assert migrations.differences(engine) == []
    with reading(engine) as c, reading(postgresql.engine) as other:
        theirs, ours = dict(migrations.described(c)), dict(migrations.described(other))
    engine.dispose()
    differing = {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)}
    assert differing == {
        "function cairnops_retain", "function cairnops_role", "function cairnops_email",
    }  # fmt: skip


def test_desks_and_workers_work_there_as_its_owner(worked: Project) -> None:
    ledger = SqlLedger(open_database(worked.owner, Path()))
    assert [d["decisionId"] for d in ledger.decisions()] == [101, 102]
    ledger.close()


def test_every_table_is_under_row_level_security(project: Project) -> None:
    with psycopg.connect(project.url) as c:
        found = c.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
            "AND relrowsecurity ORDER BY relname"
        ).fetchall()
    assert [name for (name,) in found] == TABLES


# Who may do what


def privileges(project: Project, role: str) -> dict[str, set[str]]:
    """What the grants say, tables and the view, columns included."""
    with psycopg.connect(project.url) as c:
        rows = c.execute(
            "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
            "WHERE grantee = %(role)s AND table_schema = 'public' UNION "
            "SELECT table_name, privilege_type FROM information_schema.column_privileges "
            "WHERE grantee = %(role)s AND table_schema = 'public'",
            {"role": role},
        ).fetchall()
    found: dict[str, set[str]] = {}
    for table, privilege in rows:
        found.setdefault(table, set()).add(privilege)
    return found


def test_the_grants_are_these_and_no_more(project: Project) -> None:
    view = {"decision_sync_events": {"SELECT"}}
    assert privileges(project, "anon") == privileges(project, "PUBLIC") == {}
    assert privileges(project, "authenticated") == {name: {"SELECT"} for name in READABLE} | view
    adds = {*GROWING, "effect"}
    assert privileges(project, "service_role") == view | {
        name: {"SELECT", "INSERT"} if name in adds else {"SELECT"} for name in TABLES
    }
    with psycopg.connect(project.url) as c:
        callable_ = c.execute(
            "SELECT r.rolname, p.proname FROM pg_proc p CROSS JOIN pg_roles r WHERE p.proname LIKE 'cairnops%%' "
            "AND r.rolname = ANY (%s) AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1, 2",
            (list(ROLES),),
        ).fetchall()
        members = c.execute(
            "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'cairnops_retention'::regrole "
            "AND (set_option OR inherit_option)"
        ).fetchall()
    assert callable_ == [
        ("authenticated", "cairnops_email"),
        ("authenticated", "cairnops_role"),
        ("service_role", "cairnops_email"),
        ("service_role", "cairnops_next"),
        ("service_role", "cairnops_retain"),
        ("service_role", "cairnops_role"),
    ]
    assert members == []


def test_anon_reads_nothing(worked: Project) -> None:
    for table in [*TABLES, "decision_sync_events"]:
        with worked.as_("anon") as c, pytest.raises(psycopg.errors.InsufficientPrivilege, match=DENIED):
            c.execute(f"SELECT 1 FROM {table}")


@pytest.mark.parametrize(
    ("role", "email", "sees"),
    [
        pytest.param("operator", "alex@shop.example", [101], id="an operator: what they decided"),
        pytest.param("operator", "ALEX@shop.example", [101], id="however it is spelt"),
        pytest.param("operator", "mo@shop.example", [], id="an operator who decided nothing"),
        pytest.param("operator", "", [], id="an operator without a name"),
        pytest.param("lead", "mo@shop.example", [101, 102], id="a lead"),
        pytest.param("manager", "mo@shop.example", [101, 102], id="a manager"),
        pytest.param("analyst", "mo@shop.example", [101, 102], id="an analyst"),
        pytest.param("qa", "mo@shop.example", [101, 102, 901], id="qa: every scope"),
        pytest.param("admin", "mo@shop.example", [101, 102, 901], id="an admin"),
        pytest.param("", "alex@shop.example", [], id="no role"),
        pytest.param("owner", "alex@shop.example", [], id="a role nobody knows"),
    ],
)
def test_who_sees_which_decisions_and_what_became_of_them(
    worked: Project, role: str, email: str, sees: list[int]
) -> None:
    with psycopg.connect(worked.url) as c:
        c.execute(
            "INSERT INTO decision SELECT 'built', 901, 'build', action, actor, conversation_id, session, 'kb', at, "
            "body, leaf_hash FROM decision WHERE number = 101"
        )
    with worked.as_("authenticated", email, role) as c:
        assert [n for (n,) in c.execute("SELECT number FROM decision ORDER BY number")] == sees
        effects = {n for (n,) in c.execute("SELECT number FROM effect")}
        assert effects == {n for n in sees if n < 900}
        delivered = [n for (n,) in c.execute('SELECT DISTINCT "decisionId" FROM decision_sync_events')]
        assert delivered == [n for n in sees if n == 101]
        counted = c.execute(
            "SELECT (SELECT count(*) FROM attempt), (SELECT count(*) FROM sync_event)"
        ).fetchone()
        assert counted == ((2, 2) if 101 in sees else (0, 0))
        (leaves,) = c.execute("SELECT count(*) FROM seal").fetchone()  # type: ignore[misc]
        assert leaves == (1 if role else 0)


WORDS = (
    "SELECT body FROM decision",
    "SELECT payload FROM effect",
    "SELECT * FROM decision",
    *(f"SELECT 1 FROM {name}" for name in TABLES if name not in READABLE),
    *(f"INSERT INTO {name} DEFAULT VALUES" for name in TABLES),
    *(f"DELETE FROM {name}" for name in TABLES),
    "UPDATE decision SET actor = 'x'",
    "UPDATE effect SET state = 'ready'",
    "TRUNCATE decision",
    "SELECT cairnops_retain('decisions', now() - interval '400 days', 'tidy')",
    "SELECT cairnops_next('event')",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE decision DISABLE TRIGGER ALL",
)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_reads_words_or_writes_over_the_api(worked: Project, role: str) -> None:
    for statement in WORDS:
        refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
        with worked.as_(role, "qa@shop.example", "admin") as c, refused:
            c.execute(statement)
            pytest.fail(statement)


@pytest.mark.parametrize("granted", [False, True], ids=["with its grants", "even with all of them"])
def test_the_service_changes_and_removes_nothing(worked: Project, granted: bool) -> None:
    if granted:
        with psycopg.connect(worked.owner) as c:
            c.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role")
    for table in [*GROWING, "effect"]:
        first = next(iter(t.metadata.tables[table].columns)).name
        for statement in (
            f"UPDATE {table} SET {first} = {first}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        ):
            with worked.as_("service_role") as c:
                there = c.execute(f"SELECT 1 FROM {table}").fetchone()
                if not granted or statement.startswith("ALTER"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        c.execute(statement)
                elif there or statement.startswith("TRUNCATE"):
                    refused = r"append-only|never dropped|finished"
                    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=refused):
                        c.execute(statement)


def test_the_service_adds_and_the_same_again_is_nothing_new(worked: Project) -> None:
    again = (
        "INSERT INTO decision SELECT * FROM decision ON CONFLICT (uid) DO NOTHING",
        "INSERT INTO sync_event SELECT * FROM sync_event ON CONFLICT (effect_uid) DO NOTHING",
    )
    with worked.as_("service_role") as c:
        for statement in again:
            assert c.execute(statement).rowcount == 0
        c.execute(
            "INSERT INTO event (at, actor, role, kind, conversation_id, session, key, code, body) "
            "SELECT at, actor, role, kind, conversation_id, session, key, code, body FROM event LIMIT 1"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            c.execute(
                "INSERT INTO decision SELECT * FROM decision ON CONFLICT (uid) DO UPDATE SET actor = 'x'"
            )


def test_the_view_says_what_the_export_says(worked: Project) -> None:
    ledger = SqlLedger(open_database(worked.owner, Path()))
    wanted = list(exports._sync_events(ledger, "", "final"))
    ledger.close()
    with worked.as_("service_role") as c:
        cursor = c.execute("SELECT * FROM decision_sync_events ORDER BY uid")
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
    assert names[:7] == ["decisionId", "status", "durationMs", "errorCode", "attempt", "timestamp", "scope"]
    assert [{**row, "durationMs": float(row["durationMs"])} for row in found] == sorted(
        wanted, key=lambda r: r["uid"]
    )
    with psycopg.connect(worked.url) as c:
        assert c.execute(
            "SELECT reloptions FROM pg_class WHERE relname = 'decision_sync_events'"
        ).fetchone() == (["security_invoker=true"],)


# Retention


def retain(
    c: psycopg.Cursor[Any],
    limit: str = "now() - interval '15 days'",
    why: str = "365 days are over",
    kind: str = "decisions",
) -> Any:
    return c.execute(f"SELECT cairnops_retain(%s, {limit}, %s)", (kind, why)).fetchone()[0]  # type: ignore[index]


def test_what_is_old_and_sealed_goes_through_one_function_which_says_so(worked: Project) -> None:
    with worked.as_("service_role", "ops@shop.example", "admin") as c:
        events = c.execute("SELECT max(seq) FROM event").fetchone()[0]  # type: ignore[index]
        told = retain(c)
        assert (told["decision"], told["effect"], told["attempt"], told["sync_event"]) == (1, 2, 2, 2)
        assert c.execute("SELECT number FROM decision").fetchall() == [(102,)], "not sealed: it stays"
        assert c.execute("SELECT count(*) FROM seal").fetchone() == (1,), "its hash stays"
        assert c.execute("SELECT number, retention FROM tombstone").fetchall() == [(101, 1)]
        made = c.execute(
            "SELECT kind, actor, role, body::jsonb, seq FROM event WHERE kind LIKE 'retention.%'"
        ).fetchall()
        assert [row[:3] for row in made] == [
            ("retention.applied", "ops@shop.example", "admin"),
            ("retention.removed", "ops@shop.example", "admin"),
        ]
        assert made[0][3]["why"] == "365 days are over" and made[1][3] == {"removed": told}
        assert [row[4] for row in made] == [events + 1, events + 2]
        assert retain(c, kind="transcripts")["conversation"] == 1, "one is still being worked on"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            c.execute("DELETE FROM decision")


@pytest.mark.parametrize(
    ("kind", "limit", "why", "said"),
    [
        pytest.param("decisions", "now()", "tidy", "last 14 days", id="too young"),
        pytest.param("decisions", "NULL", "tidy", "last 14 days", id="no limit"),
        pytest.param("decisions", "now() - interval '15 days'", " ", "a reason", id="no reason"),
        pytest.param("seals", "now() - interval '15 days'", "tidy", "retention is of", id="no such kind"),
        pytest.param(None, "now() - interval '15 days'", "tidy", "retention is of", id="no kind"),
    ],
)
def test_retention_is_refused(worked: Project, kind: Any, limit: str, why: str, said: str) -> None:
    with worked.as_("service_role") as c, pytest.raises(psycopg.errors.InvalidParameterValue, match=said):
        retain(c, limit, why, kind)
