"""Who is at the browser: the claims of an identity provider, or, where none is set up, whoever they say."""

import secrets as random
from collections.abc import Iterable, Mapping
from typing import Any

from cairnops.domain.conversations import Actor, Role
from cairnops.errors import CairnError, SettingError
from cairnops.settings import Settings
from cairnops.store.sessions import participant


def provider(settings: Settings) -> bool:
    """Whether people sign in at an identity provider.

    Raises:
        SettingError: when it is set up by half.
    """
    names = ("OIDC_METADATA_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    given = [name for name in names if settings[name]]
    if given and len(given) < len(names):
        missing = ", ".join(name for name in names if name not in given)
        raise SettingError(
            f"Sign-in is set up by half: {missing} is not set.", hint="Set all three, or none."
        )
    return bool(given)


def secrets(settings: Settings, address: str) -> dict[str, Any]:
    """What Streamlit's sign-in needs; empty in practice mode. `address` is where the browser finds the desk."""
    if not provider(settings):
        return {}
    return {
        "auth": {
            "redirect_uri": f"{settings['CAIRNOPS_APP_URL'] or address}/oauth2callback",
            # Signs the identity cookie. Fresh at each start unless set: everybody signs in again then.
            "cookie_secret": settings["CAIRNOPS_COOKIE_SECRET"] or random.token_hex(32),
            "client_id": settings["OIDC_CLIENT_ID"],
            "client_secret": settings["OIDC_CLIENT_SECRET"],
            "server_metadata_url": settings["OIDC_METADATA_URL"],
        }
    }


def of_claims(claims: Mapping[str, Any], groups: Mapping[str, Role]) -> Actor:
    """The person the provider vouches for, in the highest role one of their groups gives.

    Raises:
        CairnError: when there is no verified e-mail address, or no group of theirs has a role here.
    """
    email = str(claims.get("email") or "").strip().lower()
    if "@" not in email or claims.get("email_verified") is False:
        raise CairnError(
            "The identity provider sent no verified e-mail address.", hint="Ask whoever runs it."
        )
    roles = [groups[name] for name in _groups(claims.get("groups")) if name in groups]
    if not roles:
        raise CairnError(
            f"{email} is in no group that has a role here.",
            hint=f"Groups with a role: {', '.join(sorted(groups)) or 'none; set OIDC_ROLES'}.",
        )
    return Actor(email=email, role=max(roles, key=list(_RISING).index))


#: From what only reads to what may do everything.
_RISING = (Role.ANALYST, Role.QA, Role.OPERATOR, Role.LEAD, Role.MANAGER, Role.ADMIN)


def _groups(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return [value]
    return [str(v) for v in value] if isinstance(value, list) else []


def of_practice(text: str) -> Actor | None:
    """The person named in the address (`email:role`), or None when that names nobody."""
    try:
        return participant(text) if text else None
    except CairnError:
        return None
