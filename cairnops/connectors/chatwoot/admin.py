"""The side of the simulator that Chatwoot does not have: putting cases there, and the customer's part."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from cairnops.connectors.chatwoot import answers, shapes
from cairnops.connectors.chatwoot.faults import Fault
from cairnops.domain.conversations import Conversation
from cairnops.errors import RemoteError

_DEADLINE_S = 10.0


class SimulatorAdmin:
    """Speaks to a simulator over HTTP, wherever it runs."""

    def __init__(self, base_url: str, token: str):
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"api_access_token": token},
            verify=answers.trust(base_url),
            timeout=_DEADLINE_S,
            trust_env=False,
        )

    async def __aenter__(self) -> "SimulatorAdmin":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def check(self) -> None:
        """Make sure this is a simulator.

        Raises:
            RemoteError: when nothing answers there, or something that is no simulator.
        """
        hint = "Start one with: cairnops chatwoot serve. Or unset CHATWOOT_BASE_URL."
        try:
            answer = await self._http.get("/simulator/health")
        except httpx.HTTPError as error:
            raise RemoteError(
                f"{self._http.base_url} does not answer ({type(error).__name__}).", hint=hint
            ) from None
        if answer.status_code == 401:
            raise RemoteError(f"{self._http.base_url} refuses the token.", hint="Check CHATWOOT_API_TOKEN.")
        if answer.status_code != 200:
            raise RemoteError(
                f"{self._http.base_url} is no simulator, and a rehearsal writes only to a simulator.",
                hint=hint,
            )

    async def has(self, conversation: str) -> bool:
        """Whether the conversation is there already."""
        answer = await self._call("GET", f"/simulator/conversations/{conversation}")
        return bool(answer["exists"])

    async def seed(self, conversation: Conversation, faults: Sequence[Fault] = ()) -> None:
        """Put a conversation there as it should stand, with what will go wrong for it."""
        body = shapes.to_seed(conversation)
        body["faults"] = [fault.model_dump(exclude_none=True) for fault in faults]
        await self._call("POST", "/simulator/conversations", body)

    async def set_now(self, at: datetime | None) -> None:
        """Let the simulator's clock stand at that moment; None gives it back the machine's."""
        await self._call("POST", "/simulator/clock", {"now": at.isoformat() if at else None})

    async def customer_says(self, conversation: str, text: str, at: datetime, key: str) -> None:
        """The customer writes; under the same key only once. A resolved conversation opens again."""
        await self._call(
            "POST",
            f"/simulator/conversations/{conversation}/customer",
            {"text": text, "at": at.isoformat(), "key": key},
        )

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise RemoteError(f"The simulator stopped answering ({type(error).__name__}).") from None
        if answer.status_code != 200:
            raise RemoteError(f"The simulator refused {path}: {answer.text[:300]}")
        return dict(answer.json())
