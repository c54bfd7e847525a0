"""One account of one Chatwoot server, asked with one token: deadlines, patience, and what a refusal means in words."""

import asyncio
import json
import re
from types import TracebackType
from typing import Any, Self

import httpx

from cairnops.connectors.chatwoot import answers, shapes
from cairnops.domain.delivery import Failure
from cairnops.errors import NotFound, RemoteError, SettingError

# "At once" from a server that limits its callers would be asked in a busy loop.
_LEAST_PAUSE_MS = 50

# Shorter than a server's own patience with an idle connection (often 5 s): a connection that the server is
# closing while we send on it looks like an unknown outcome.
_KEEP_ALIVE_S = 2.0


class Connection:
    """Requests to one account; use it in one event loop, as an async context manager or with `aclose`.

    What it raises says what to do next, and holds no token.
    """

    def __init__(
        self,
        base_url: str,
        account_id: int,
        token: str,
        *,
        timeout_ms: int,
        patience_ms: int = 0,
    ):
        self.base_url = answers.server(base_url)
        self.account_id = account_id
        self.timeout_ms = timeout_ms
        self._patience_ms = patience_ms
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            # Sent anyway, it would come back in an exception: "Illegal header value b'…'".
            raise SettingError(
                "the Chatwoot token is empty or has characters a token cannot have",
                hint="Set CHATWOOT_API_TOKEN to the access token of the profile settings page.",
            )
        if timeout_ms <= 0:
            raise SettingError(f"a deadline of {timeout_ms} ms is none", hint="Give milliseconds above 0.")
        self._token = token
        self._account = f"{self.base_url}/api/v1/accounts/{account_id}"
        self._http = httpx.AsyncClient(
            headers={"api_access_token": token, "accept": "application/json"},
            verify=answers.trust(self.base_url),
            # Per read, hence no deadline (a trickling server passes it); `_deadline` is one.
            timeout=timeout_ms / 1000,
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_S),
            follow_redirects=False,
            # A proxy set for the internet cannot reach a simulator on this machine.
            trust_env=httpx.URL(self.base_url).host not in ("127.0.0.1", "::1", "localhost"),
        )

    def __repr__(self) -> str:
        return f"ChatwootClient(base_url={self.base_url!r}, account_id={self.account_id})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; calling it again does nothing."""
        await self._http.aclose()

    async def look(self, path: str, query: dict[str, Any] | None = None) -> httpx.Response:
        """One GET of a path below the account (`/api…`: below the server), whatever it answers.

        Raises:
            RemoteError: when there is no answer within the deadline.
        """
        return await self._ask("GET", path, query=query)

    async def put(self, method: str, path: str, body: dict[str, Any] | None = None) -> object:
        """Change something of the account that no decision asks for; what stands there now.

        Not for effects: an unclear answer is an error here, and whoever asked looks before trying again.

        Raises:
            RemoteError: when it was not done, or nobody knows; with what the help desk said.
        """
        response = await self._ask(method, path, body=body)
        if not response.is_success:
            raise self._refused(response.status_code, said=answers.complaint(response))
        return answers.parsed(response) if response.content else None

    async def remove(self, path: str) -> bool:
        """Remove something of the account; False when it is not there.

        Raises:
            RemoteError: when it was not done, or nobody knows; with what the help desk said.
        """
        response = await self._ask("DELETE", path)
        if response.status_code == 404:
            return False
        if not response.is_success:
            raise self._refused(response.status_code, said=answers.complaint(response))
        return True

    async def rows(self, path: str, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of one GET below the account, in any of the wrappings Chatwoot uses.

        Raises:
            RemoteError: when it cannot be reached or read.
            NotFound: when there is no such path.
        """
        return shapes.items(await self._get(self._url(path), query), path.strip("/"))

    async def whoami(self) -> str:
        """The e-mail of the token's owner: the cheapest proof that server and token are right.

        Raises:
            RemoteError: when the server cannot be reached, or does not take the token.
        """
        return str((await self.profile())["email"])

    async def profile(self) -> dict[str, Any]:
        """The token's owner as Chatwoot shows them: `email`, `name`, and `accounts`, each with `id`, `name`, `role`.

        Raises:
            RemoteError: when the server cannot be reached, does not take the token, or is no Chatwoot.
        """
        response = await self.look("/api/v1/profile")
        if not response.is_success:
            raise self._refused(response.status_code, said=answers.complaint(response))
        body = answers.parsed(response)
        if not shapes.is_record(body) or not isinstance(body.get("email"), str):
            raise RemoteError(
                f"{self.base_url} does not answer as Chatwoot does", hint="Check CHATWOOT_BASE_URL."
            )
        given = body.get("accounts")
        rows = given if isinstance(given, list) else []
        return body | {"accounts": [row for row in rows if shapes.is_record(row) and "id" in row]}

    async def _get(self, url: str, query: dict[str, Any] | None = None) -> object:
        response = await self._ask("GET", url, query=query)
        if response.status_code == 404:
            raise NotFound(
                f"{self.base_url} has no {url.removeprefix(self._account).strip('/')} in account {self.account_id}",
                hint="Check the number, and CHATWOOT_ACCOUNT_ID.",
            )
        if not response.is_success:
            raise self._refused(response.status_code)
        return answers.parsed(response)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
    ) -> httpx.Response:
        # Escaped to ASCII, as every text that may come from a browser.
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"content-type": "application/json"}
        left_ms = self._patience_ms
        while True:
            try:
                async with self._deadline():
                    response = await self._http.request(
                        method, self._url(path), params=query, content=content, headers=headers
                    )
            except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
                raise self._unreached(error) from None
            pause_ms = answers.judged(response).retry_after_ms if response.status_code == 429 else None
            # Without a word from the server a second is as good as anything.
            pause_ms = max(_LEAST_PAUSE_MS, 1000 if pause_ms is None else pause_ms)
            if response.status_code != 429 or pause_ms > left_ms:
                return response
            await asyncio.sleep(pause_ms / 1000)
            left_ms -= pause_ms

    def _url(self, path: str) -> str:
        if path.startswith(self.base_url):
            return path
        return f"{self.base_url if path.startswith('/api') else self._account}{path}"

    def _deadline(self) -> asyncio.Timeout:
        return asyncio.timeout(self.timeout_ms / 1000)

    def _unreached(self, error: Exception) -> RemoteError:
        failure = answers.failure_of(error)
        within = f" within {self.timeout_ms} ms" if failure is Failure.TIMEOUT else ""
        return RemoteError(
            f"no answer from {self.base_url}{within} ({failure.value})",
            hint="Check that the server runs and CHATWOOT_BASE_URL names it.",
        )

    def _refused(self, status: int, said: str = "") -> RemoteError:
        hint = "Look into the server's log, or try again."
        if status in (401, 403):
            hint = f"Check CHATWOOT_API_TOKEN and that its owner belongs to account {self.account_id}."
        if "for bots" in said:
            hint = "This is a bot's token, which may read nothing: use an agent's, from the profile settings page."
        if "not authorized to do this" in said:
            hint = "Only an administrator of the account may; use an administrator's token."
        return RemoteError(f"{self.base_url} answered HTTP {status}{said and ': '}{said}", hint=hint)
