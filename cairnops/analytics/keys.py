"""Under which keys of a row something is looked for at all, when most rows are not looked at one by one."""

from cairnops.analytics.dialects import CAIRNOPS

#: Names (their first step) under which a duration, a time and an id are looked for, in precedence.
DURATIONS, TIMES, IDS = (
    tuple(dict.fromkeys(name for name in names if "." not in name))
    for names in (CAIRNOPS.duration, CAIRNOPS.timestamp, CAIRNOPS.decision_id)
)
#: Every other name that is looked at: these are counted by combination.
FACTS = tuple(
    dict.fromkeys(
        head
        for names in (
            CAIRNOPS.status, CAIRNOPS.http_status, CAIRNOPS.flag, CAIRNOPS.denial, CAIRNOPS.error_code,
            CAIRNOPS.error_message, ("message",), CAIRNOPS.retries, CAIRNOPS.attempt, CAIRNOPS.scope,
            CAIRNOPS.duration, CAIRNOPS.timestamp, CAIRNOPS.decision_id,
        )
        for head in (name.partition(".")[0] for name in names)
        if head not in DURATIONS + TIMES + IDS
    )
)  # fmt: skip

#: Keys of an object that may hold a duration or a time inside.
INSIDE = frozenset(
    name.partition(".")[0]
    for name in (*CAIRNOPS.duration, *CAIRNOPS.timestamp, *CAIRNOPS.decision_id)
    if "." in name
)

#: An object of these alone is an error message and not a row.
ERROR_KEYS = {"code", "message", "details", "hint"}


class NotThisWay(Exception):
    """The engine cannot read this at all; the careful reader can."""
