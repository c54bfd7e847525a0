"""A Supabase project over its REST interface: what is asked, what is taken for an answer, and what is said of trouble.

Everything sent may be sent twice: reading changes nothing, and a row that is there already is left as it is.
So an answer that never came is simply asked for again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import httpx

from cairnops.errors import CairnError, RemoteError, SettingError
from cairnops.settings import Settings

if TYPE_CHECKING:
    from postgrest import APIResponse

#: Rows asked for at once. A project gives 1,000 at most unless told otherwise, and says nothing of the rest.
PAGE = 1000
#: Pauses between tries, seconds; one more try than there are pauses.
PAUSES = (0.5, 1.0, 2.0, 4.0)
#: A server that asks for more patience than this is told of instead, seconds.
PATIENCE = 30.0
#: How long one answer may be silent, seconds.
TIMEOUT, TIMEOUT_ONCE = 30.0, 10.0

#: No right to it, or not even its name.
_CLOSED = frozenset({"42501", "PGRST205", "42P01"})
_PASSING = frozenset({408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 530})
_MIGRATIONS = "Apply the files in supabase/migrations to the project (supabase db push), in their order."
_KEYS = {
    "SUPABASE_SERVICE_KEY": "Set SUPABASE_SERVICE_KEY to the project's service (secret) key.",
    "SUPABASE_ANON_KEY": "Set SUPABASE_ANON_KEY to the project's anon (publishable) key.",
}
_ADDRESS = "Set SUPABASE_URL to the project's own address, such as https://abc.supabase.co."

Row = dict[str, Any]


class Duplicate(RemoteError):
    """A row of that number or key is there and is another one."""


class Project:
    """A project, as the bearer of one key sees it."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        setting: str = "SUPABASE_SERVICE_KEY",
        sleep: Callable[[float], None] = time.sleep,
        once: bool = False,
    ):
        """`setting` is what the key is set with, for whoever has to set it right; `once` asks once, not for long."""
        try:
            from supabase import ClientOptions, SupabaseException, create_client
        except ImportError:
            raise CairnError(
                "The Supabase client is not installed.", hint="pip install 'cairnops[shared]'"
            ) from None
        self.url, self._key, self._todo = url, key, _KEYS[setting]
        self._http = _Patient(sleep, () if once else PAUSES, TIMEOUT_ONCE if once else TIMEOUT)
        options = ClientOptions(
            httpx_client=self._http,
            postgrest_client_retry=False,
            auto_refresh_token=False,
            persist_session=False,
        )
        try:
            self._client = create_client(url, key, options)
        except SupabaseException as error:
            raise SettingError(f"The Supabase client does not take these settings: {error}.") from None

    @classmethod
    def of(
        cls, settings: Settings, setting: str = "SUPABASE_SERVICE_KEY", *, once: bool = False
    ) -> "Project":
        """The project the settings name, with the key of that name.

        Raises:
            SettingError: when address or key is not set.
        """
        for name in ("SUPABASE_URL", setting):
            if not settings[name]:
                raise SettingError(f"{name} is not set.", hint=_KEYS.get(name, _ADDRESS))
        return cls(settings["SUPABASE_URL"], settings[setting], setting=setting, once=once)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def __enter__(self) -> "Project":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def layout(self) -> str:
        """The layout of the tables there.

        Raises:
            RemoteError: when the tables are not there, or the key does not open them.
        """
        found = self._read("meta", lambda q: q.eq("key", "schema"), ("value",), limit=1)
        if not found:
            # Row level security shows somebody without rights an empty table, not a refusal.
            raise RemoteError(
                f"The key opens nothing at {self.url}: it is not the service key.", hint=self._todo
            )
        return str(found[0]["value"])

    def removed_until(self) -> str:
        """The moment before which retention has removed decisions there; empty when it never ran."""
        rows = self.pages("retention", ("seq", "until"), only=("kind", "decisions"))
        return max((str(row["until"]) for row in rows), default="")

    def removed(self) -> list[tuple[int, str, str]]:
        """The decisions retention has removed there: number, uid, and when."""
        # The stones first: whoever applies a retention meanwhile is read whole or not at all.
        stones = list(self.pages("tombstone", ("uid", "number", "retention")))
        when = {row["seq"]: str(row["at"]) for row in self.pages("retention", ("seq", "at"))}
        return [(int(row["number"]), str(row["uid"]), when.get(row["retention"], "")) for row in stones]

    def retain(self, kind: str, until: str, why: str) -> dict[str, int]:
        """Have what is older removed there, on record; how many rows of which table went.

        Raises:
            RemoteError: when it is refused, or is too young.
        """
        from postgrest import APIError

        asked = {"of_kind": kind, "older_than": until, "why": why}
        try:
            answer = self._client.rpc("cairnops_retain", asked).execute()
        except APIError as error:
            self._refused(error, "cairnops_retain")
        except httpx.HTTPError as error:
            raise self._unreached(error) from None
        if not isinstance(answer.data, dict):
            raise self._strange("something that is not a count")
        return {str(table): int(rows) for table, rows in answer.data.items()}  # type: ignore[call-overload]

    def count(self, table: str, key: str, *, through: Any = None, born: str = "", since: str = "") -> int:
        """How many rows there are, up to that key when one is given, and born since then."""

        def narrowed(query: Any) -> Any:
            query = query if through is None else query.lte(key, through)
            return query.gte(born, since) if born and since else query

        answer = self._ask(table, lambda q: narrowed(q.select(key, count="exact")).limit(1), key)
        if answer.count is None:
            raise self._strange("no count")
        return int(answer.count)

    def newest(self, table: str, columns: Sequence[str]) -> Row | None:
        """Those columns of the row with the highest key, which is the first of them; None when there is no row."""
        found = self._read(table, lambda q: q.order(columns[0], desc=True), columns, limit=1)
        return found[0] if found else None

    def pages(
        self,
        table: str,
        columns: Sequence[str],
        *,
        only: tuple[str, str] | None = None,
        born: str = "",
        since: str = "",
        tie: str = "",
    ) -> Iterator[Row]:
        """Every row, in the order of the first column, which names them; `tie` is a second one that does so with it.

        Read on from the last key each time until nothing more comes: a project may give fewer rows than asked for.
        """
        key, last = columns[0], None

        def narrowed(query: Any) -> Any:
            if only is not None:
                query = query.eq(*only)
            if born and since:
                query = query.gte(born, since)
            if last is not None and tie:
                query = query.or_(f"{key}.gt.{last[key]},and({key}.eq.{last[key]},{tie}.gt.{last[tie]})")
            elif last is not None:
                query = query.gt(key, last[key])
            query = query.order(key)
            return query.order(tie) if tie else query

        while found := self._read(table, narrowed, columns, limit=PAGE):
            yield from found
            if last is not None and found[-1][key] == last[key] and not tie:
                raise self._strange("the same rows again")
            last = found[-1]

    def between(self, table: str, columns: Sequence[str], first: Any, last: Any) -> list[Row]:
        """Those columns of the rows whose first column lies between the two, both included."""
        return self._read(
            table, lambda q: q.gte(columns[0], first).lte(columns[0], last), columns, limit=PAGE
        )

    def add(self, table: str, rows: Sequence[Row], unique: Sequence[str]) -> None:
        """Add the rows that are not there yet, all or none; one with the same `unique` columns is there.

        Raises:
            Duplicate: when one has another key in common with a row that is not the same.
        """
        self._ask(
            table,
            lambda q: q.upsert(
                list(rows), on_conflict=",".join(unique), ignore_duplicates=True, returning="minimal"
            ),
        )

    def readable(self, tables: Sequence[str]) -> list[str]:
        """Which of the tables show this key any row at all.

        Raises:
            RemoteError: when that cannot be found out; a refusal is an answer.
        """
        from postgrest import APIError

        seen = []
        for table in tables:
            try:
                answer = self._client.table(table).select("*").limit(1).execute()
            except APIError as error:
                # A key that is not taken at all would be refused everything, and say nothing of the tables.
                if error.code not in _CLOSED:
                    self._refused(error, table)
                continue
            except httpx.HTTPError as error:
                raise self._unreached(error) from None
            if answer.data:
                seen.append(table)
        return seen

    def _read(
        self, table: str, narrowed: Callable[[Any], Any], columns: Sequence[str], *, limit: int
    ) -> list[Row]:
        answer = self._ask(table, lambda q: narrowed(q.select(*columns)).limit(limit), *columns)
        return list(answer.data)  # type: ignore[arg-type]

    def _ask(self, table: str, what: Callable[[Any], Any], *columns: str) -> "APIResponse":
        """Ask, and make sure that rows of those columns came back; what the client takes for data may be an error."""
        from postgrest import APIError

        try:
            answer: APIResponse = what(self._client.table(table)).execute()
        except APIError as error:
            self._refused(error, table)
        except httpx.HTTPError as error:
            raise self._unreached(error) from None
        if columns and not _rows_of(answer.data, columns):
            raise self._strange("something that is not rows")
        return answer

    def _strange(self, what: str) -> RemoteError:
        return RemoteError(f"{self.url} does not answer as PostgREST does: {what} came back.", hint=_ADDRESS)

    def _unreached(self, error: Exception) -> RemoteError:
        why = str(error) or type(error).__name__
        tries = len(self._http.pauses) + 1
        return RemoteError(
            f"No answer from {self.url}{f' in {tries} tries' if tries > 1 else ''} ({why}).",
            hint="Try again later; what arrived is not sent twice. Is SUPABASE_URL right?",
        )

    def _refused(self, error: Any, table: str) -> NoReturn:
        status, code = self._http.status, error.code or ""
        said = " ".join(str(part) for part in (error.message, error.details, error.hint) if part)
        # A gateway set up for debugging says back what it was sent.
        said = said.replace(self._key, "…")[:300]
        if code == "23505":
            raise Duplicate(
                f"{table}: {said}",
                hint="The project holds another ledger. Give every ledger a project of its own.",
            )
        if code in ("PGRST205", "42P01", "PGRST204", "42703", "PGRST202"):
            raise RemoteError(f"The project has no such table or column: {said}", hint=_MIGRATIONS)
        if code == "42501":
            raise RemoteError(f"The key may not do this with {table}: {said}", hint=self._todo)
        if status in (401, 403) or code.startswith("PGRST30"):
            raise RemoteError(f"{self.url} does not take the key (HTTP {status}): {said}", hint=self._todo)
        if 300 <= status < 400 or status == 404:
            raise RemoteError(f"{self.url} is no Supabase project (HTTP {status}).", hint=_ADDRESS)
        if status == 413:
            raise RemoteError(f"{table}: the project takes no request of this size (HTTP 413).")
        wait = self._http.asked_for
        if wait is not None and wait > PATIENCE:
            raise RemoteError(f"{self.url} asks to be left alone for {wait:.0f} s.", hint="Try again then.")
        what = f"HTTP {status}" + (f", {code}" if code and code != str(status) else "")
        raise RemoteError(
            f"{self.url} did not do what was asked of {table} ({what}): {said}",
            hint="Try again later; what arrived is not sent twice.",
        )


def _rows_of(data: object, columns: Sequence[str]) -> bool:
    return isinstance(data, list) and all(
        isinstance(row, Mapping) and row.keys() >= set(columns) for row in data
    )


class _Patient(httpx.Client):
    """Asks again, a few times and further and further apart, when an answer did not come or is to come later."""

    def __init__(self, sleep: Callable[[float], None], pauses: Sequence[float], timeout: float):
        # A key never follows a redirection to somebody else.
        super().__init__(timeout=timeout, follow_redirects=False)
        self._sleep, self.pauses = sleep, pauses
        #: The last answer's status, and how many seconds it asked to wait.
        self.status, self.asked_for = 0, None  # type: tuple[int, float | None]

    def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """See `httpx.Client.send`."""
        how["follow_redirects"] = False
        for pause in (*self.pauses, None):
            self.status, self.asked_for = 0, None
            try:
                answer = super().send(request, **how)
            except httpx.TransportError:
                if pause is None:
                    raise
            else:
                self.status, self.asked_for = answer.status_code, _retry_after(answer)
                if answer.status_code not in _PASSING or pause is None or (self.asked_for or 0) > PATIENCE:
                    return answer
                answer.close()
            self._sleep(max(pause, self.asked_for or 0))
        raise AssertionError


def _retry_after(answer: httpx.Response) -> float | None:
    from cairnops.connectors.chatwoot.answers import retry_after_ms

    asked = retry_after_ms(answer.headers, datetime.now(UTC))
    return None if asked is None else asked / 1000
