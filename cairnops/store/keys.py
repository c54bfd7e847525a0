"""The ledger's signing key on disk: readable by its owner only, and changed so that no crash loses it."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cairnops.domain.checkpoints import BadNote, Key
from cairnops.errors import InputError, WorkspaceError
from cairnops.telemetry.writer import write_whole

PRIVATE, PUBLIC = "ledger.key", "ledger.pub"
#: The key that is about to take over; it does once the ledger says so.
_NEXT = "ledger.key.next"


@dataclass(frozen=True, slots=True)
class Signing:
    """A private key under the name the log signs with."""

    key: Key
    _private: Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature."""
        return self._private.sign(message)


def load(folder: Path, name: str, *, expected: bytes | None = None) -> Signing:
    """The key of a workspace, to sign under that name; a rotation that was cut off is finished first.

    An empty name is made from the key itself: the same key always gives the same one.

    Raises:
        WorkspaceError: when there is none, it cannot be read, or it is not the one the ledger expects.
    """
    private = _read(folder / PRIVATE)
    if expected is not None and _raw(private) != expected:
        following = folder / _NEXT
        if not following.exists() or _raw(_read(following)) != expected:
            raise WorkspaceError(
                f"{folder / PRIVATE} is not the key this ledger was sealed with.",
                hint="Put the key back from a copy; nothing else can go on with this log.",
            )
        adopt(folder)
        private = _read(folder / PRIVATE)
    return Signing(Key(name, _raw(private)), private)


def make_next(folder: Path, name: str) -> Signing:
    """A fresh key beside the one in use; `adopt` puts it in its place."""
    private = Ed25519PrivateKey.generate()
    data = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(folder / _NEXT, data, mode=0o600)
    return Signing(Key(name, _raw(private)), private)


def adopt(folder: Path) -> None:
    """Let the fresh key take the place of the old one, whose private half is gone with that."""
    public = pem(_raw(_read(folder / _NEXT)))
    (folder / _NEXT).replace(folder / PRIVATE)
    write_whole(folder / PUBLIC, public)


def pem(public: bytes) -> str:
    """A public key as PEM text, which any tool reads."""
    return (
        Ed25519PublicKey.from_public_bytes(public)
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def origin(shop: str, public: bytes) -> str:
    """The log's name: the shop's domain and the first key's beginning, so that two workspaces never share one."""
    domain = re.sub(r"[^A-Za-z0-9.-]", "-", shop) or "shop"
    return f"{domain}/cairnops/{hashlib.sha256(public).hexdigest()[:8]}"


def check(public: bytes, message: bytes, signature: bytes) -> bool:
    """True when the key's owner signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key(text: str, name: str) -> Key:
    """A public key somebody gives us: PEM (then it signs under `name`) or a verifier key `name+id+base64`.

    Raises:
        InputError: when it is neither, or no Ed25519 key.
    """
    hint = "Give the ledger.pub of the workspace, or a verifier key as `cairnops ledger keys` prints it."
    if "-----BEGIN" in text:
        if "PRIVATE KEY" in text:
            raise InputError(
                "That is a private key; it should never leave its workspace.", hint="Give the public one."
            )
        try:
            found = serialization.load_pem_public_key(text.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise InputError("That PEM text holds no public key.", hint=hint) from None
        if not isinstance(found, Ed25519PublicKey):
            raise InputError("That key is not an Ed25519 key.", hint=hint)
        return Key(name, found.public_bytes_raw())
    try:
        return Key.parse(text)
    except BadNote as error:
        raise InputError(f"That is no public key: {error}.", hint=hint) from None


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise WorkspaceError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Only the owner of the workspace can sign for its ledger.",
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WorkspaceError(f"{path} holds no private key.", hint="Put it back from a copy.") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise WorkspaceError(f"{path} is not an Ed25519 key.", hint="Put it back from a copy.")
    return found


def _raw(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()
