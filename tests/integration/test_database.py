"""A workspace's own database is checked like an export: what is changed in it, with every guard off, is found."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cairnops import codec
from cairnops.domain import merkle
from cairnops.domain.checkpoints import Checkpoint, Key, write_note
from cairnops.domain.conversations import Actor, Author, Conversation, Message, Status
from cairnops.domain.requests import Action, Request
from cairnops.evidence.database import verify_database
from cairnops.evidence.proofs import Trust, Verification
from cairnops.settings import Settings
from cairnops.store import keys
from cairnops.store.keys import Signing
from cairnops.workspace import Workspace

ALEX = Actor(email="alex@shop.example")
T0 = datetime(2025, 10, 16, 17, 0, tzinfo=UTC)
KEYS = {"decision": "uid", "seal": "log_index", "checkpoint": "seq", "ledger_key": "seq"}
#: What no hash and no signature covers: by whom and when something was sealed or a first key came into use.
UNCOVERED = {("checkpoint", "actor"), ("checkpoint", "at"), ("ledger_key", "actor"), ("ledger_key", "at")}


def decide(w: Workspace, first: int, count: int) -> None:
    desk = w.desk(lambda: T0)
    for n in range(first, first + count):
        asked = Message(
            id=f"m{n}", author=Author.CUSTOMER, text="Where is it?", at=T0 - timedelta(minutes=40)
        )
        conversation = Conversation(
            id=f"{n}", customer="Alex Rivera", customer_key=f"{n}@example.test", status=Status.OPEN,
            created_at=T0 - timedelta(minutes=50), messages=(asked,),
        )  # fmt: skip
        desk.observe(conversation, ALEX)
        request = Request(
            action=Action.APPROVE_SEND, conversation=conversation.id, actor=ALEX, key=f"one/{n}", session="one",
            text="Hi Alex, your parcel is on its way.",
        )  # fmt: skip
        assert desk.submit(request).number


@dataclass(frozen=True)
class Original:
    """Four decisions sealed, another key, three more sealed, two not yet; and what an outsider keeps of it."""

    root: Path
    first_key: str
    key: str
    kept: bytes


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    root = tmp_path_factory.mktemp("original") / "w"
    with Workspace.open(root, Settings()) as w:
        decide(w, 1, 4)
        kept = w.seal(ALEX, T0).checkpoint
        first = keys.pem(w.signer().key.public)
        w.rotate_key(ALEX, T0)
        decide(w, 5, 3)
        w.seal(ALEX, T0)
        decide(w, 8, 2)
        assert kept
        return Original(root, first, keys.pem(w.signer().key.public), kept.note.encode())


def opened(path: Path) -> sqlite3.Connection:
    """The database as somebody opens it who has the file: nothing of ours stands in the way."""
    con = sqlite3.connect(path / "cairnops.db", isolation_level=None)
    for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        con.execute(f'DROP TRIGGER "{name}"')
    return con


def copied(original: Original, to: Path) -> Path:
    shutil.copytree(original.root, to / "w")
    return to / "w"


def check(root: Path, trust: Trust | None = None, *, deep: bool = False) -> Verification:
    with Workspace.open(root, Settings()) as w:
        return verify_database(w, trust=trust, deep=deep)


def rehash(con: sqlite3.Connection, number: int, *, sealed: bool = False, **changed: Any) -> None:
    """Give a decision another text that hashes right, and with `sealed` a place in the log that agrees."""
    uid, body = con.execute("SELECT uid, body FROM decision WHERE number = ?", [number]).fetchone()
    text = codec.canonical({**json.loads(body), **changed})
    leaf = codec.leaf_hash(text)
    con.execute("UPDATE decision SET body = ?, leaf_hash = ? WHERE uid = ?", [text, leaf, uid])
    if sealed:
        con.execute("UPDATE seal SET leaf_hash = ? WHERE decision_uid = ?", [leaf, uid])


def stranger(con: sqlite3.Connection) -> Signing:
    """Somebody else's key, under the log's name."""
    private = Ed25519PrivateKey.generate()
    (origin,) = con.execute("SELECT origin FROM ledger_key LIMIT 1").fetchone()
    return Signing(Key(origin, private.public_key().public_bytes_raw()), private)


def sign_anew(con: sqlite3.Connection, signer: Signing) -> None:
    """One checkpoint over whatever the log is now, by that key."""
    leaves = [
        bytes.fromhex(h) for (h,) in con.execute("SELECT leaf_hash FROM seal ORDER BY log_index").fetchall()
    ]
    head = Checkpoint(signer.key.name, len(leaves), merkle.root(leaves))
    con.execute("DELETE FROM checkpoint")
    con.execute(
        "INSERT INTO checkpoint (size, key_id, root, note, actor, at) VALUES (?, ?, ?, ?, '', '')",
        [head.size, signer.key.id.hex(), head.root.hex(), write_note(head.text, [signer])],
    )


def make_it_theirs(con: sqlite3.Connection) -> None:
    """The whole log anew, with another text and another key: sound in itself."""
    rehash(con, 102, sealed=True, note="never said")
    signer = stranger(con)
    con.execute("DELETE FROM ledger_key")
    con.execute(
        "INSERT INTO ledger_key (origin, public, statement, actor, at) VALUES (?, ?, '', '', '')",
        [signer.key.name, signer.key.public.hex()],
    )
    sign_anew(con, signer)


def put_back(con: sqlite3.Connection, number: int, **changed: Any) -> None:
    """Delete a decision and insert it again with another text."""
    row = con.execute("SELECT * FROM decision WHERE number = ?", [number])
    names = [column[0] for column in row.description]
    data = dict(zip(names, row.fetchone(), strict=True))
    con.execute("DELETE FROM decision WHERE number = ?", [number])
    data["body"] = codec.canonical({**json.loads(data["body"]), **changed})
    data["leaf_hash"] = codec.leaf_hash(data["body"])
    con.execute(f"INSERT INTO decision VALUES ({', '.join('?' * len(names))})", list(data.values()))


def swap(con: sqlite3.Connection, *columns: str) -> None:
    """Let the places 1 and 2 of the log change what those columns say."""
    said = f"SELECT {', '.join(columns)} FROM seal WHERE log_index = ?"
    one, two = (con.execute(said, [place]).fetchone() for place in (1, 2))
    con.execute("UPDATE seal SET decision_uid = 'away' WHERE log_index = 2")
    for place, values in ((1, two), (2, one)):
        taken = ", ".join(f"{column} = ?" for column in columns)
        con.execute(f"UPDATE seal SET {taken} WHERE log_index = ?", [*values, place])


def sql(*statements: str) -> Callable[[sqlite3.Connection], None]:
    def run(con: sqlite3.Connection) -> None:
        for statement in statements:
            assert con.execute(statement).rowcount > 0, statement

    return run


def _note(change: Callable[[str], str]) -> Callable[[sqlite3.Connection], None]:
    def run(con: sqlite3.Connection) -> None:
        seq, note = con.execute("SELECT seq, note FROM checkpoint ORDER BY seq DESC LIMIT 1").fetchone()
        assert change(note) != note
        con.execute("UPDATE checkpoint SET note = ? WHERE seq = ?", [change(note), seq])

    return run


SEALED = "(SELECT decision_uid FROM seal WHERE log_index = {})"
TAMPERINGS = [
    pytest.param(sql("UPDATE decision SET body = replace(body, 'on its way', 'lost') WHERE number = 102"),
                 {"edited"}, id="a text edited"),
    pytest.param(lambda c: rehash(c, 102, note="never said"), {"edited"}, id="a text edited and hashed anew"),
    pytest.param(lambda c: rehash(c, 102, sealed=True, note="never said"), {"history", "root"},
                 id="a text edited, hashed anew in the log as well"),
    pytest.param(lambda c: rehash(c, 109, session="two"), {"edited"}, id="an unsealed one no longer as its columns"),
    pytest.param(sql("UPDATE decision SET session = 'two' WHERE number = 103"), {"edited"}, id="a column edited"),
    pytest.param(sql("DELETE FROM decision WHERE number = 103"), {"dropped"}, id="a decision deleted"),
    pytest.param(sql(f"DELETE FROM decision WHERE uid = {SEALED.format(2)}", "DELETE FROM seal WHERE log_index = 2"),
                 {"dropped", "truncated"}, id="a decision deleted with its place"),
    pytest.param(sql(f"DELETE FROM decision WHERE uid = {SEALED.format(6)}", "DELETE FROM seal WHERE log_index = 6"),
                 {"dropped", "truncated"}, id="the last sealed one deleted with its place"),
    pytest.param(sql("DELETE FROM seal WHERE log_index > 3"), {"truncated"}, id="the log cut off"),
    pytest.param(sql("DELETE FROM seal WHERE log_index > 3", "DELETE FROM checkpoint WHERE size > 4",
                     "DELETE FROM decision WHERE number > 104"), {"dropped"}, id="the log turned back to a checkpoint"),
    pytest.param(sql("DELETE FROM decision WHERE number = 108"), {"dropped"}, id="an unsealed one deleted"),
    pytest.param(sql("DELETE FROM decision WHERE number = 109"), {"dropped"}, id="the newest unsealed one deleted"),
    pytest.param(lambda c: put_back(c, 103, finalText="Hi"), {"edited"}, id="one deleted and inserted again"),
    pytest.param(lambda c: swap(c, "decision_uid"), {"edited"}, id="two places swapped"),
    pytest.param(lambda c: swap(c, "decision_uid", "leaf_hash"), {"history", "root"},
                 id="two places swapped with their hashes"),
    pytest.param(sql("INSERT INTO seal SELECT 7, uid, leaf_hash FROM decision WHERE number = 108"),
                 {"inserted"}, id="one put into the log without signing"),
    pytest.param(sql("DELETE FROM checkpoint WHERE size = 7"), {"inserted"}, id="the newest checkpoint deleted"),
    pytest.param(sql("UPDATE checkpoint SET size = 6 WHERE size = 7"), {"checkpoint"}, id="a checkpoint's column"),
    pytest.param(_note(lambda n: n.replace("\n7\n", "\n6\n")), {"signature", "inserted"}, id="a checkpoint's size"),
    pytest.param(_note(lambda n: n[:-20] + "AAAA" + n[-16:]), {"signature", "inserted"}, id="a signature"),
    pytest.param(lambda c: sign_anew(c, stranger(c)), {"signature", "inserted"}, id="a checkpoint by another key"),
    pytest.param(sql("UPDATE ledger_key SET statement = replace(statement, 'alex', 'anna') WHERE statement != ''"),
                 {"rotations", "signature", "inserted"}, id="who rotated the key"),
    pytest.param(sql("DELETE FROM ledger_key WHERE statement = ''"), {"rotations", "signature"},
                 id="the first key deleted"),
    pytest.param(sql("UPDATE checkpoint SET root = 'no hash'"), {"checkpoint"}, id="no root at all"),
    pytest.param(sql("UPDATE ledger_key SET public = 'no key' WHERE statement = ''"),
                 {"rotations", "signature", "inserted"}, id="no key"),
    pytest.param(sql("UPDATE seal SET leaf_hash = 'no hash' WHERE log_index = 5"), {"edited"}, id="no hash"),
    pytest.param(sql("UPDATE decision SET body = 'no record' WHERE number = 101"), {"edited"}, id="no record"),
]  # fmt: skip


def test_what_nobody_touched_is_proved(original: Original, tmp_path: Path) -> None:
    root = copied(original, tmp_path)
    for trust in (Trust(key=original.key), Trust(key=original.first_key), Trust(old=(original.kept,))):
        found = check(root, trust, deep=True)
        assert (found.findings, found.rows, found.sealed, found.unsealed, found.size) == ([], 9, 7, 2, 7)
        assert found.vouched
        (left,) = found.unproved
        assert left.startswith("2 decisions are not sealed yet")
    with Workspace.open(root, Settings()) as w:
        w.seal(ALEX, T0)
    assert check(root, Trust(key=original.key)).exit_code == 0
    assert check(root).exit_code == 3, "nobody vouches for the key"


@pytest.mark.parametrize(("tamper", "codes"), TAMPERINGS)
def test_tampering_is_found(
    tamper: Callable[[sqlite3.Connection], None], codes: set[str], original: Original, tmp_path: Path
) -> None:
    root = copied(original, tmp_path)
    con = opened(root)
    tamper(con)
    con.close()
    found = check(root)
    assert found.exit_code == 1
    assert {finding.code for finding in found.findings} == codes


def test_a_log_made_anew_is_found_by_whoever_kept_anything(original: Original, tmp_path: Path) -> None:
    root = copied(original, tmp_path)
    con = opened(root)
    make_it_theirs(con)
    con.close()
    assert check(root).exit_code == 3, "sound in itself, and it says that nobody vouches for it"
    assert {f.code for f in check(root, Trust(key=original.key)).findings} == {"signature"}
    assert {f.code for f in check(root, Trust(old=(original.kept,))).findings} == {"old-checkpoint"}


def test_a_history_signed_anew_with_the_right_key_is_found_by_an_older_checkpoint(
    original: Original, tmp_path: Path
) -> None:
    root = copied(original, tmp_path)
    with Workspace.open(root, Settings()) as w:
        signer = w.signer()
    con = opened(root)
    rehash(con, 102, sealed=True, note="never said")
    sign_anew(con, signer)
    con.close()
    assert check(root, Trust(key=original.key)).found == 0
    assert {f.code for f in check(root, Trust(old=(original.kept,))).findings} == {"history"}


def test_no_value_of_any_row_can_be_changed(original: Original, tmp_path: Path) -> None:
    root = copied(original, tmp_path)
    con = opened(root)
    missed, tried = [], 0
    with Workspace.open(root, Settings()) as w:
        for table, key in KEYS.items():
            rows = con.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in rows.description]
            for values in rows.fetchall():
                row = dict(zip(names, values, strict=True))
                for name, value in row.items():
                    if (table, name) in UNCOVERED or name == "seq":
                        continue
                    tried += 1
                    other = value + 1000 if isinstance(value, int) else value + "a"
                    now = other if name == key else row[key]
                    con.execute(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", [other, row[key]])
                    if verify_database(w).exit_code != 1:
                        missed.append((table, row[key], name))
                    con.execute(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", [value, now])
        assert verify_database(w, trust=Trust(key=original.key)).found == 0, "all was put back"
    con.close()
    assert tried > 130
    assert missed == []


def test_the_command_checks_the_database_where_it_gets_no_file(
    cli: Any, original: Original, tmp_path: Path
) -> None:
    root = copied(original, tmp_path)
    done = cli("ledger", "verify", "-w", root, "--old", _file(tmp_path, original.kept), "--json")
    data = json.loads(done.out)
    assert (done.code, data["kind"], data["verdict"], data["unsealed"]) == (3, "database", "not proved", 2)
    con = opened(root)
    con.execute("UPDATE decision SET body = replace(body, 'on its way', 'lost') WHERE number = 102")
    con.close()
    done = cli("ledger", "verify", "-w", root, columns=200)
    assert done.code == 1
    assert "decision 102 at log index 1: its text or its leaf hash was changed" in done.out
    for wrong in (["-w", tmp_path / "nowhere"], ["-w", root, "--rotations", "x"], ["x.ndjson", "-w", root]):
        done = cli("ledger", "verify", *wrong)
        assert (done.code, "Traceback" in done.err) == (2, False)
    assert not (tmp_path / "nowhere").exists()


def _file(folder: Path, data: bytes) -> Path:
    (folder / "kept.txt").write_bytes(data)
    return folder / "kept.txt"
