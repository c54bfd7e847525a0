"""The wiring: a folder becomes a database, a policy, keys and a desk; every driver starts here."""

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cairnops.desk.desk import Desk
from cairnops.domain.policy import PROFILES, Policy
from cairnops.domain.requests import Flags
from cairnops.errors import WorkspaceError
from cairnops.policy_file import PolicyInForce, load_policy
from cairnops.settings import Settings, listed
from cairnops.store.claims import SqlClaims
from cairnops.store.drafts import SqlDrafts
from cairnops.store.engine import open_database, place
from cairnops.store.jobs import SqlJobs
from cairnops.store.ledger import SqlLedger
from cairnops.store.outages import SqlOutages
from cairnops.store.outbox import SqlOutbox
from cairnops.store.retention import SqlRetention
from cairnops.store.seals import HeldKey, Sealed, SqlSeals
from cairnops.store.sessions import SqlSessions
from cairnops.store.workers import SqlWorkers
from cairnops.telemetry.writer import write_whole

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from cairnops.connectors.chatwoot.client import ChatwootClient, Reads
    from cairnops.connectors.circuit import Circuit
    from cairnops.connectors.timing import Timing
    from cairnops.domain.conversations import Actor
    from cairnops.store.keys import Signing

_POLICY_FILE = """\
# The rules' numbers for this workspace. `profile` is where they start from ({profiles});
# below it stands only what differs. `cairnops policy show` prints every key with its value.
profile: {profile}

# sla:
#   minutes: 45
# guardrails:
#   no_ack_hours: 12
"""


def now() -> datetime:
    """The machine's clock, UTC, whole milliseconds: what a driver passes down when its day is real."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def mint() -> str:
    """A key for a form that is being drawn."""
    return secrets.token_hex(16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """The help desk in use: where it is, and the token of its simulator when it is ours."""

    base_url: str
    account_id: int
    token: str
    simulated: bool


class Workspace:
    """One folder: `cairnops.db`, `policy.yaml`, `keys/`, `artifacts/`, and the simulator's state.

    With DATABASE_URL the ledger is there instead, shared with everybody who has the same; the folder is one's own.
    """

    def __init__(self, root: Path, settings: Settings, *, made: tuple[str, ...]):
        self.root, self.settings = root, settings
        #: What this opening had to make, for the driver to say so; empty when all was there.
        self.made = made
        self.policy_file = root / "policy.yaml"
        self.artifacts = root / "artifacts"
        self._in_force: PolicyInForce | None = None
        self._engine = open_database(settings["DATABASE_URL"], root / "cairnops.db")
        self.destination = destination(root, settings)
        self.ledger = SqlLedger(self._engine, self.destination)
        self.outbox = SqlOutbox(self._engine, self.destination)
        self.outages = SqlOutages(self._engine, self.destination)
        self.jobs = SqlJobs(self._engine, self.destination)
        self.workers = SqlWorkers(self._engine, self.destination)
        self.sessions = SqlSessions(self._engine)
        self.seals = SqlSeals(self._engine)
        self.retention = SqlRetention(self._engine)
        self.claims = SqlClaims(self._engine)
        self.drafts = SqlDrafts(self._engine)

    @classmethod
    def open(cls, root: Path, settings: Settings, *, profile: str = "dry-run") -> "Workspace":
        """Open the workspace, making whatever is missing.

        Raises:
            WorkspaceError: when the folder or its database cannot be used, with what to do.
        """
        made: list[str] = []
        try:
            if root.exists() and not root.is_dir():
                raise WorkspaceError(
                    f"{root} is a file, not a workspace folder.", hint="Choose another --workspace."
                )
            for folder in (root, root / "artifacts", root / "keys"):
                if not folder.exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    made.append(f"{folder.name}/" if folder != root else f"{root}/")
            if not (root / "policy.yaml").exists():
                text = _POLICY_FILE.format(profile=profile, profiles=", ".join(PROFILES))
                write_whole(root / "policy.yaml", text)
                made.append("policy.yaml")
            if not all((root / "keys" / name).exists() for name in ("ledger.key", "ledger.pub")):
                _make_key(root / "keys")
                made.append("keys/ledger.key")
            if not settings["DATABASE_URL"] and not (root / "cairnops.db").exists():
                made.append("cairnops.db")
        except OSError as error:
            raise WorkspaceError(
                f"{root} cannot be used: {error.strerror or error}.", hint="Choose another --workspace."
            ) from None
        return cls(root, settings, made=tuple(made))

    @property
    def place(self) -> str:
        """Where the ledger is, as it may be shown to anybody."""
        return place(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self.ledger.close()

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def in_force(self) -> PolicyInForce:
        """The policy, and who set which value."""
        if self._in_force is None:
            self._in_force = load_policy(self.policy_file, self.settings)
        return self._in_force

    @property
    def policy(self) -> Policy:
        """The rules' numbers in force."""
        return self.in_force.policy

    def use(self, policy: Policy) -> None:
        """Work under another policy from here on (a switched-off rule, a back-test)."""
        self._in_force = self.in_force._replace(policy=policy)

    @property
    def flags(self) -> Flags:
        """The two switches as the environment sets them."""
        return Flags(
            modal_approvals=self.settings["FEATURE_MODAL_APPROVALS"],
            ai_escalations=self.settings["FEATURE_AI_ESCALATIONS"],
        )

    def desk(self, clock: Callable[[], datetime] = now, flags: Flags | None = None) -> Desk:
        """A desk on this ledger; `clock` and `flags` default to the real ones."""
        return Desk(
            self.ledger, self.policy, flags or self.flags, clock, self.settings["CAIRNOPS_SHOP_DOMAIN"]
        )

    def signer(self) -> "Signing":
        """The key this ledger is sealed with, under the log's name.

        Raises:
            WorkspaceError: when the key on disk cannot be read or is another one.
        """
        from cairnops.store import keys

        folder, held = self.root / "keys", self.seals.held_keys()
        if held:
            return keys.load(folder, held[-1].key.name, expected=held[-1].key.public)
        public = keys.load(folder, "").key.public
        return keys.load(folder, keys.origin(self.settings["CAIRNOPS_SHOP_DOMAIN"], public))

    def seal(self, actor: "Actor", at: datetime) -> Sealed:
        """Seal what was committed since the last time; see `SqlSeals.seal`."""
        return self.seals.seal(self.signer(), at, actor)

    def rotate_key(self, actor: "Actor", at: datetime) -> HeldKey:
        """Seal with a fresh key from here on; the old one signs the change, and its private half is gone then."""
        from cairnops.store import keys

        folder, old = self.root / "keys", self.signer()
        held = self.seals.rotate(old, keys.make_next(folder, old.key.name), at, actor)
        keys.adopt(folder)
        return held

    def artifact_folder(self, session: str) -> Path:
        """Where a session's files go.

        Raises:
            WorkspaceError: for a name that leads out of the artifacts folder.
        """
        folder = self.artifacts / (session or "workspace")
        if folder.parent != self.artifacts or session in (".", ".."):
            raise WorkspaceError(f"{session!r} is no folder of {self.artifacts}.")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def help_desk(self) -> Iterator[Remote]:
        """The help desk the settings name; without one, the simulator, started for as long as it is needed."""
        base = self.settings["CHATWOOT_BASE_URL"]
        if base:
            if not self.settings["CHATWOOT_API_TOKEN"]:
                raise WorkspaceError(
                    "CHATWOOT_BASE_URL is set and CHATWOOT_API_TOKEN is not.",
                    hint="Set CHATWOOT_API_TOKEN, or unset CHATWOOT_BASE_URL to use the simulator.",
                )
            yield Remote(
                base_url=base,
                account_id=self.settings["CHATWOOT_ACCOUNT_ID"],
                token=self.settings["CHATWOOT_API_TOKEN"],
                simulated=False,
            )
            return
        from cairnops.connectors.chatwoot.simulator import ChatwootSimulator

        token = secrets.token_hex(16)
        account = self.settings["CHATWOOT_ACCOUNT_ID"]
        with ChatwootSimulator(self.root / "simulator.db", token, account) as simulator:
            yield Remote(base_url=simulator.base_url, account_id=account, token=token, simulated=True)

    def client(self, remote: Remote) -> "ChatwootClient":
        """The Chatwoot client for that help desk, under the policy's hard deadline."""
        from cairnops.connectors.chatwoot.client import ChatwootClient

        return ChatwootClient(
            remote.base_url,
            remote.account_id,
            remote.token,
            timeout_ms=self.policy.delivery.timeout_ms,
            # A queue that is read may wait for its turn as long as one answer may take.
            patience_ms=self.policy.delivery.timeout_ms,
            # A simulator of our own holds what we put there, in no inbox and no team of anybody's account.
            reads=None if remote.simulated else reads(self.settings),
        )

    async def deliver(
        self,
        client: "ChatwootClient",
        stamp: Callable[[], datetime] = now,
        told: Callable[[str, int, str], None] = lambda *_: None,
        threads: "Executor | None" = None,
        circuit: "Circuit | None" = None,
    ) -> int:
        """Deliver every unfinished effect; returns how many ended. See `Worker.drain`.

        `threads` is where the database is waited for, when the loop has others to serve. Without a `circuit`
        it goes by the script: what does not arrive is tried as often as the policy says, and ends.
        """
        from cairnops.connectors.timing import apart
        from cairnops.connectors.worker import Worker

        timing, policy = self.timing, self.policy.delivery
        await apart(threads, lambda: timing.learn(self.workers.keep_clock))
        worker = Worker(
            self.outbox, client, policy, owner=worker_name(), stamp=stamp, timing=timing, threads=threads,
            circuit=circuit,
        )  # fmt: skip
        return await worker.drain(told=told)

    def circuit(
        self,
        client: "ChatwootClient",
        stamp: Callable[[], datetime] = now,
        threads: "Executor | None" = None,
    ) -> "Circuit":
        """What the workers of this process know of the help desk being down; one for all of them."""
        from cairnops.connectors.circuit import Circuit

        return Circuit(
            self.outages, client, self.policy.delivery, stamp=stamp, timing=self.timing, threads=threads
        )

    @cached_property
    def timing(self) -> "Timing":
        """The clock of everything this process delivers; see `deliver`."""
        from cairnops.connectors.timing import Timing

        return Timing()


def reads(settings: Settings) -> "Reads":
    """Which conversations of the help desk are read, as the settings have it."""
    from cairnops.connectors.chatwoot.client import Reads
    from cairnops.domain.conversations import Status

    return Reads(
        statuses=tuple(Status(name) for name in listed(settings["CHATWOOT_STATUSES"])),
        labels=listed(settings["CHATWOOT_LABELS"]),
        inboxes=listed(settings["CHATWOOT_INBOXES"]),
        teams=listed(settings["CHATWOOT_TEAMS"]),
    )


def worker_name() -> str:
    """A name for one that delivers, unlike any other's: the machine, the process, and a few letters."""
    return f"{socket.gethostname()[:12]}-{os.getpid()}-{secrets.token_hex(4)}"


def destination(root: Path, settings: Settings) -> str:
    """The help desk in use, by the name effects for it are kept under: what is for one never goes to another."""
    base = settings["CHATWOOT_BASE_URL"]
    if base:
        return f"chatwoot:{base}/accounts/{settings['CHATWOOT_ACCOUNT_ID']}"
    known = root / "simulator.id"
    if not known.exists():
        _first(known, secrets.token_hex(8), mode=0o644)
    return f"simulator:{known.read_text(encoding='utf-8').strip()}"


def _first(target: Path, data: bytes | str, *, mode: int) -> None:
    """Put a file in its place, whole, unless somebody else was first."""
    aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        write_whole(aside, data, mode=mode)
        with suppress(FileExistsError):
            os.link(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _make_key(folder: Path) -> None:
    """An Ed25519 key for sealing the ledger, readable by its owner only; whole or absent, and only one ever.

    Eight processes that met on a fresh folder each made a key and all but one failed, and a kill between
    making and writing left an empty one: so it is written aside and linked into place, first come.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    target = folder / "ledger.key"
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _first(target, private, mode=0o600)
    kept = serialization.load_pem_private_key(target.read_bytes(), password=None)
    public = kept.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_whole(folder / "ledger.pub", public)
