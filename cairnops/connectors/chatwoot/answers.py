"""What came back from the help desk's server, or did not, in our words; and which addresses can be one."""

import errno
import math
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx

from cairnops.connectors.chatwoot import shapes
from cairnops.domain.delivery import Failure, Result, of_status
from cairnops.errors import RemoteError, SettingError
from cairnops.telemetry import jsontext


def trust(url: str) -> ssl.SSLContext | bool:
    """What a client of that address goes by: the certificate authorities, read once in a process.

    Reading them takes longer (25 ms) than most questions do, and where there is no TLS nobody needs them.
    """
    return _authorities() if url.lower().startswith("https:") else False


@cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def retry_after_ms(headers: httpx.Headers, now: datetime) -> int | None:
    """A Retry-After header in milliseconds: seconds, or an HTTP date against the answer's own Date.

    RFC 9110 §10.2.3. A past date is 0; anything else unreadable is None. `now` is used when the answer
    has no Date.
    """
    given = headers.get("retry-after", "").strip()
    try:
        seconds = float(given)
        return int(max(seconds, 0.0) * 1000) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        return None
    with suppress(ValueError):
        now = parsedate_to_datetime(headers.get("date", ""))
    until, now = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in (until, now))
    return max(int((until - now).total_seconds() * 1000), 0)


def judged(response: httpx.Response) -> Result:
    """What one try came to, by its answer's status."""
    return of_status(response.status_code, retry_after_ms(response.headers, datetime.now(UTC)))


def complaint(response: httpx.Response) -> str:
    """What Chatwoot says is wrong, in one of its two voices; empty when it says nothing readable."""
    try:
        body = parsed(response)
    except RemoteError:
        return ""
    found = next((body[k] for k in ("error", "message") if body.get(k)), "") if shapes.is_record(body) else ""
    return found[:200] if isinstance(found, str) else ""


def parsed(response: httpx.Response) -> object:
    """The JSON of an answer.

    Raises:
        RemoteError: when it is none.
    """
    try:
        return jsontext.parse(response.content.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise RemoteError(
            f"the answer is not JSON: {response.headers.get('content-type', 'no content type')},"
            f" {len(response.content)} bytes",
            hint="Check that CHATWOOT_BASE_URL names the Chatwoot server itself.",
        ) from None


def failure_of(error: BaseException) -> Failure:
    """How a request failed that got no answer."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Failure.TIMEOUT
    if isinstance(error, httpx.DecodingError):
        return Failure.MALFORMED
    if isinstance(error, httpx.ConnectError):
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            return Failure.TLS
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return Failure.DNS
        if any(isinstance(cause, OSError) and cause.errno == errno.ETIMEDOUT for cause in causes):
            return Failure.TIMEOUT
        return Failure.REFUSED
    return Failure.RESET


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from _causes(part)
        error = error.__cause__ or error.__context__


def server(url: str) -> str:
    """The address of a server, without a trailing slash.

    Raises:
        SettingError: for one that cannot be used.
    """
    try:
        parsed = httpx.URL(url.strip())
        # The resolver raises UnicodeError for a label above 63 bytes, long after anybody expects it.
        parsed.host.encode("idna")
        usable = (
            parsed.scheme in ("http", "https") and bool(parsed.host) and not (parsed.query or parsed.fragment)
        )
    except (httpx.InvalidURL, TypeError, ValueError):
        usable = False
    if not usable or parsed.userinfo:
        # The URL is not repeated here: it may hold a password.
        raise SettingError(
            "the Chatwoot base URL is not of the form https://host[:port][/path], without user and password",
            hint="Set CHATWOOT_BASE_URL, for example to https://chat.example.com.",
        )
    return str(parsed).rstrip("/")
