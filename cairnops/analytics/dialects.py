"""Under which names each tool looks for a fact in a row, in which order, and which words it believes.

The order of a tuple is precedence: the first name that holds something usable wins. A dot steps into
an object. What the legacy tools do with a value once found is in `legacy`.
"""

import functools
from typing import Any, NamedTuple

SUCCESS_WORDS = frozenset({"success", "ok", "completed", "synced"})
FAILURE_WORDS = frozenset({"failure", "failed", "error", "timeout", "timed_out", "fatal", "rejected"})

#: Words that count as a success flag where a flag may be text.
TRUE_WORDS = frozenset({"true", "yes", "1", "success", "ok"})
FALSE_WORDS = frozenset({"false", "no", "0", "fail", "failed", "error"})


class Names(NamedTuple):
    """The names one dialect knows; an empty tuple means it does not look for that fact."""

    status: tuple[str, ...]
    http_status: tuple[str, ...]
    flag: tuple[str, ...]
    #: False under one of these is a failure, True says nothing.
    denial: tuple[str, ...]
    error_code: tuple[str, ...]
    error_message: tuple[str, ...]
    duration: tuple[str, ...]
    retries: tuple[str, ...]
    #: Ordinal of the try, from 1; retries are one less.
    attempt: tuple[str, ...]
    timestamp: tuple[str, ...]
    decision_id: tuple[str, ...]
    scope: tuple[str, ...]


#: The legacy analyser (`analyze-supabase-logs`).
ANALYZE = Names(
    status=("status", "state", "outcome"),
    http_status=("statusCode", "httpStatus", "response.status"),
    flag=("success", "ok"),
    denial=(),
    error_code=("errorCode", "error_code", "error.code", "response.errorCode"),
    error_message=("errorMessage", "error_message", "error", "message", "response.errorMessage"),
    duration=("durationMs", "duration_ms", "duration", "latencyMs", "metrics.durationMs"),
    retries=("retryCount", "retry_count", "retries"),
    attempt=("attempt", "attemptCount"),
    timestamp=("timestamp", "time", "loggedAt", "generatedAt", "createdAt", "metadata.generatedAt"),
    decision_id=("decisionId", "decision_id", "id"),
    scope=("scope", "context.scope"),
)

#: The legacy alert monitor (`supabase-sync-alerts`).
ALERTS = Names(
    status=("status", "state", "outcome", "result"),
    http_status=(),
    flag=("success", "ok", "successFlag"),
    denial=("retryable",),
    error_code=("errorCode",),
    error_message=("errorMessage", "error_message"),
    duration=("durationMs", "duration_ms"),
    retries=("retryCount",),
    attempt=("attempt",),
    timestamp=("timestamp", "loggedAt", "time"),
    decision_id=("decisionId", "id"),
    scope=(),
)

#: Ours: every name either tool knows. A bare `message` is kept as words but is no evidence of a
#: failure: half the "failures" of one legacy summary were rows that said "informational".
CAIRNOPS = Names(
    status=("status", "state", "outcome", "result"),
    http_status=("statusCode", "httpStatus", "response.status"),
    flag=("success", "ok", "successFlag"),
    denial=("retryable",),
    error_code=("errorCode", "error_code", "error.code", "response.errorCode"),
    error_message=("errorMessage", "error_message", "error", "response.errorMessage"),
    duration=("durationMs", "duration_ms", "duration", "latencyMs", "metrics.durationMs"),
    retries=("retryCount", "retry_count", "retries"),
    attempt=("attempt", "attemptCount"),
    timestamp=(
        "timestamp", "time", "loggedAt", "generatedAt", "createdAt", "created_at", "metadata.generatedAt",
    ),
    decision_id=("decisionId", "decision_id", "id", "uid"),
    scope=("scope", "context.scope"),
)  # fmt: skip


def values(row: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    """What stands in `row` under each of `names`, in order; absent ones are left out, null ones are not."""
    found = []
    for head, rest in _paths(names):
        if head not in row:
            continue
        value = row[head]
        for part in rest:
            if not isinstance(value, dict) or part not in value:
                break
            value = value[part]
        else:
            found.append(value)
    return found


def first_set(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of those values that is not null, or None."""
    for value in values(row, names):
        if value is not None:
            return value
    return None


@functools.cache
def _paths(names: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    split = [name.split(".") for name in names]
    return tuple((head, tuple(rest)) for head, *rest in split)
