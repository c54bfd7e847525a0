"""How the figures of an export are computed where people argue about it, and when they are an alert.

Apart from the rest of the policy, so that counting a small file does not wait for all of it.
"""

from dataclasses import dataclass
from typing import Literal

Percentile = Literal["linear", "nearest_rank", "legacy_floor"]
Denominator = Literal["known", "total"]

# Unknown keys in a policy file are refused rather than dropped: a misspelt threshold is a wrong threshold.
STRICT = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertPolicy:
    """When sync health stops being fine."""

    __pydantic_config__ = STRICT
    failure_warn_percent: int = 5
    failure_alert_percent: int = 10
    p95_ms: int = 1000
    min_samples: int = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurePolicy:
    """How figures are computed where two tools compute them differently."""

    __pydantic_config__ = STRICT
    percentile: Percentile = "linear"
    #: `known` divides failures by successes + failures, `total` by every record.
    failure_denominator: Denominator = "known"
    #: Read a duration below 10 as seconds. Wrong for real data; one legacy tool did it.
    seconds_below_ten: bool = False
