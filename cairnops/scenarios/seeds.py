"""The simulator's seeds of a pack: its conversations as they stand when each scenario starts."""

from datetime import datetime
from typing import Any

from cairnops.connectors.chatwoot.shapes import to_seed
from cairnops.scenarios.model import Pack


def seeds(pack: Pack, start: datetime | None = None) -> list[dict[str, Any]]:
    """One seed a scenario, faults included, in pack order.

    `start` (UTC) lets every scenario begin at that moment; without it each begins where the agenda has it.
    """
    out = []
    for scenario in pack.scenarios:
        seed = to_seed(scenario.conversation(start or pack.begins(scenario.id)))
        number = int(scenario.world.conversation.id)
        faults = [f.fault(number).model_dump(exclude_none=True) for f in scenario.world.faults]
        out.append({**seed, "faults": faults})
    return out
