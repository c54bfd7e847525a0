"""When a file says it was made, told by its name; the file system's word is another matter."""

import re
from datetime import UTC, datetime

# 2025-10-10T07-29-39Z · 20251010T073700Z · …T07-26-29.678Z · …T21-14-08-686Z · …T16:02:25Z · 2025-10-10-134723
_STAMP = re.compile(
    r"(?<!\d)(?P<y>20\d\d)-?(?P<mo>[01]\d)-?(?P<d>[0-3]\d)"
    r"(?:[T_ -](?P<h>[0-2]\d)[-:.]?(?P<mi>[0-5]\d)[-:.]?(?P<s>[0-5]\d)(?:[.-](?P<ms>\d{3}))?Z?)?(?!\d)"
)


def claimed_time(name: str) -> datetime | None:
    """The time in a file's name, UTC, in any of the styles exports have been named in; None without one.

    A date alone is its midnight.
    """
    for match in _STAMP.finditer(name):
        f = {key: int(value or 0) for key, value in match.groupdict().items()}
        try:
            return datetime(f["y"], f["mo"], f["d"], f["h"], f["mi"], f["s"], f["ms"] * 1000, tzinfo=UTC)
        except ValueError:
            continue
    return None
