"""How a summary is shown: the figures, the methods they rest on, and the verdict."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairnops.cli import exits, render
from cairnops.cli.common import narrate

if TYPE_CHECKING:
    from cairnops.analytics.summary import Summary


def show_summary(
    file: Path, profile: str, tool: str, min_samples: int | None, workspace: Path | None, as_json: bool
) -> None:
    """Summarise a file under a profile and print it; ends with the verdict's exit code."""
    from cairnops.analytics import summary
    from cairnops.domain import policy as policies
    from cairnops.errors import InputError
    from cairnops.settings import Settings, load_policy

    settings = Settings()
    if profile and profile not in policies.PROFILES:
        raise InputError(
            f"There is no profile {profile!r}.", hint=f"Profiles: {', '.join(policies.PROFILES)}."
        )
    if tool not in ("analyze", "alerts"):
        raise InputError(f"There is no legacy tool {tool!r}.", hint="Tools: analyze, alerts.")
    if profile:
        policy, set_by = policies.profile(profile), f"profile {profile}"  # type: ignore[arg-type]
    else:
        root = workspace or Path(settings["CAIRNOPS_HOME"])
        policy = load_policy(root / "policy.yaml", settings).policy
        set_by = f"profile {policy.profile}"
    alerts = policy.alerts
    if min_samples is not None and min_samples != alerts.min_samples:
        narrate(f"note: judged from {min_samples} records on; the policy says {alerts.min_samples}")
        alerts = replace(alerts, min_samples=min_samples)
    dialect = tool if profile == "parity" else "cairnops"
    result = summary.summarize(file, measures=policy.measures, alerts=alerts, dialect=dialect)  # type: ignore[arg-type]
    render.emit(result.to_dict(), as_json, lambda: _tell(result, set_by))
    if result.exit_code:
        exits.leave(result.exit_code)


def _tell(result: "Summary", set_by: str) -> None:
    if result.dialect != "cairnops":
        from cairnops.codec import dumps

        print(dumps(result.to_dict()))
        return
    figures = result.to_dict()
    _head(figures, set_by)
    for name, key in (("Status", "statusBreakdown"), ("Error", "errors"), ("Scope", "scopeBreakdown")):
        rows = _breakdown(figures.get(key))
        if rows:
            render.table((name, "Count", "Share"), rows)
    print(f"{result.status.upper()}{': ' if result.reasons else ''}{'; '.join(result.reasons)}")


def _head(figures: dict[str, Any], set_by: str) -> None:
    render.lines([(k, v) for k, v in figures.items() if not isinstance(v, list | dict)])
    del set_by


def _breakdown(rows: Any) -> list[tuple[object, ...]]:
    return [tuple(r.values())[:3] for r in rows] if isinstance(rows, list) else []
