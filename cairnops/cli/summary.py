"""How a summary is shown: the figures, the methods they rest on, and the verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cairnops.cli import render, wording

if TYPE_CHECKING:
    from cairnops.analytics.summary import Summary
    from cairnops.domain.measures import AlertPolicy, MeasurePolicy
    from cairnops.policy_file import Override

_VERDICTS = {
    "ok": "FINE",
    "alert": "ALERT",
    "insufficient-data": "NOT ENOUGH DATA",
    "unreadable": "NOT READABLE",
}

#: What to do with a file that holds no rows, by what it turned out to be.
_WHAT_TO_DO = {
    "postgrest_error": "Mend the query it names (a table or a column that is not there) and export again.",
    "html": "Download the export again, signed in: a page like this is a login or an error in its place.",
    "text_banner": "Export again with only the rows in the file; a program's messages belong elsewhere.",
    "scalars": "Export whole rows: one JSON object a line, or an array of objects.",
    "binary": "Export it as NDJSON: one JSON object a line.",
    "ndjson": "The lines below say where it breaks; export it again from its source.",
    "empty": "Nothing was written to it. Check that the export ran to its end, and run it again.",
    "json_array": "The query found no rows. Check its dates, its scope and its filters.",
    "json_object": "Export whole rows: one JSON object a line, or an array of objects.",
    "json_sequence": "Export whole rows: one JSON object a line, or an array of objects.",
}

#: The two legacy tools by the name of their dialect.
_TOOLS = {
    "analyze": "Legacy analyser (analyze-supabase-logs)",
    "alerts": "Legacy monitor (supabase-sync-alerts)",
}

_HOURS_SHOWN = 12


def show_summary(
    file: Path,
    profile: str = "",
    tool: str = "",
    min_samples: int | None = None,
    workspace: Path | None = None,
    as_json: bool = False,
) -> int:
    """Summarise a file under a profile and print it; returns the verdict's exit code.

    Under `parity` the monitor's verdict counts when both tools are shown: the analyser has none.

    Raises:
        InputError: for a file that cannot be opened, or --tool without --profile parity.
    """
    from dataclasses import replace

    from cairnops.analytics import summary
    from cairnops.errors import InputError

    if tool and profile != "parity":
        raise InputError("--tool chooses a legacy tool.", hint="Add --profile parity.")
    judged = _judged(profile, workspace)
    alerts = judged.alerts
    if min_samples is not None:
        alerts = replace(alerts, min_samples=min_samples)
    if profile == "parity":
        both = summary.parity(file, measures=judged.measures, alerts=alerts)
        chosen = {name: both[name] for name in both if tool in ("", name)}  # type: ignore[index]
        figures = {name: found.to_dict() for name, found in chosen.items()}
        render.emit(figures[tool] if tool else figures, as_json, lambda: _tell_legacy(chosen))
        return list(chosen.values())[-1].exit_code
    result = summary.summarize(file, measures=judged.measures, alerts=alerts)
    thresholds = _Thresholds(judged.profile, judged.overrides, judged.alerts.min_samples)
    render.emit(result.to_dict(), as_json, lambda: _tell(result, thresholds))
    return result.exit_code


class _Judged(NamedTuple):
    """The part of a policy a summary rests on."""

    alerts: "AlertPolicy"
    measures: "MeasurePolicy"
    profile: str
    #: The thresholds that are not the profile's own.
    overrides: "Sequence[Override]" = ()


def _judged(profile: str, workspace: Path | None) -> _Judged:
    if not profile:
        from cairnops.settings import Settings

        settings = Settings()
        file = (workspace or Path(settings["CAIRNOPS_HOME"])) / "policy.yaml"
        if file.exists():
            from cairnops.policy_file import load_policy

            found = load_policy(file, settings)
            policy = found.policy
            changed = [o for o in found.overrides() if o.key.startswith("alerts.")]
            return _Judged(policy.alerts, policy.measures, policy.profile, changed)
        profile = "dry-run"
    if profile == "dry-run":
        # Its values are the defaults. All the rules' numbers take longer to load than a small file to be read.
        from cairnops.domain.measures import AlertPolicy, MeasurePolicy

        return _Judged(AlertPolicy(), MeasurePolicy(), profile)
    from cairnops.domain import policy as policies

    policy = policies.profile(profile)  # type: ignore[arg-type]
    return _Judged(policy.alerts, policy.measures, profile)


class _Thresholds:
    """Where the thresholds come from, to be said beside them."""

    def __init__(self, profile: str, overrides: "Sequence[Override]", min_samples: int):
        self.profile, self.min_samples = profile, min_samples
        self._overrides = overrides

    def said(self, figures: dict[str, Any]) -> str:
        """The thresholds of a summary in a sentence, with what overrides what."""
        t = figures["alert"]["thresholds"]
        noun = "known outcomes" if figures["measures"]["failureDenominator"] == "known" else "records"
        least = f"{t['minSamples']} {noun}"
        if t["minSamples"] != self.min_samples:
            least += f" (--min-samples; the policy says {self.min_samples})"
        said = (
            f"at least {least}; failure rate warns above {wording.percent(t['failureRateWarn'])}"
            f" and alerts above {wording.percent(t['failureRateAlert'])}; p95 alerts above {t['p95Ms']} ms"
        )
        changed = "; ".join(f"{o.key} set by {o.by} in place of {o.instead}" for o in self._overrides)
        return f"{said} (profile {self.profile}{'; ' + changed if changed else ''})"


def _tell(result: "Summary", thresholds: _Thresholds) -> None:
    f = result.to_dict()
    source, totals = f["source"], f["totals"]
    packed = f", {source['compression']}" if source["compression"] else ""
    render.say(f"{source['name']}: {KINDS.get(source['kind'], source['kind'])}{packed}")
    render.lines(
        [
            ("sha256", f"{source['sha256'][:16]}… of {source['bytes']:,} bytes"),
            ("lines", _lines(f["parse"])),
            *([("window", _window(f["window"]))] if f["window"] else []),
        ],
        indent="  ",
    )
    if totals["records"]:
        render.say()
        render.lines(_figures(f))
        _breakdowns(f)
    readable = result.status != "unreadable"
    _rejects(f["parse"], 20 if readable else 3)
    notes = [n for n in f["notes"] if not n.startswith("The failure rate is")]
    if notes and readable:
        render.say("\nNotes")
        for note in notes:
            render.say(note, "  ", "    ")
    render.say(f"\n{_VERDICTS[result.status]}")
    for line in [*result.reasons, *f["alert"]["warnings"]]:
        render.say(line, "  ", "    ")
    if not totals["records"]:
        render.say(_WHAT_TO_DO.get(source["kind"], ""), "  ", "    ")
    else:
        render.say(f"Judged by: {thresholds.said(f)}.", "  ", "    ")


#: What a file turned out to be, in words.
KINDS = {
    "parquet": "a Parquet file",
    "ndjson": "one JSON object a line",
    "json_array": "a JSON array",
    "json_object": "a single JSON object",
    "json_sequence": "JSON objects over several lines",
    "empty": "an empty file",
    "postgrest_error": "an error message of the database, not an export",
    "scalars": "single JSON values, no objects",
    "html": "a web page, not an export",
    "text_banner": "plain text, not an export",
    "binary": "not text",
}


def _lines(parse: dict[str, Any]) -> str:
    parts = [wording.count(parse["records"], "record")]
    if parse["rejects"]:
        parts.append(f"{parse['rejects']} rejected")
    if parse["blank"]:
        parts.append(f"{parse['blank']} blank")
    repaired = sum(parse["repairs"].values())
    if repaired:
        parts.append(f"{wording.count(repaired, 'repair')} while reading")
    return f"{parse['lines']}: {', '.join(parts)}"


def _window(window: dict[str, str]) -> str:
    start, end = window["start"], window["end"]
    until = end[11:19] if start[:10] == end[:10] else f"{end[:10]} {end[11:19]}"
    return f"{start[:10]} {start[11:19]} to {until} UTC"


def _figures(f: dict[str, Any]) -> list[tuple[str, object]]:
    t, d, r = f["totals"], f["durationsMs"], f["retries"]
    of = {"known": ("known outcomes", t["success"] + t["failure"]), "total": ("all records", t["records"])}
    rates = [
        f"{wording.percent(t['failureRates'][key])} of {of[key][0]} ({t['failure']} of {of[key][1]})"
        for key in sorted(of, key=lambda k: k != t["failureDenominator"])
    ]
    pairs: list[tuple[str, object]] = [
        (
            "records",
            f"{t['records']}: {t['success']} succeeded, {t['failure']} failed, {t['unknown']} unknown",
        ),
        ("failure rate", rates[0]),
        ("failure rate", f"{rates[1]}, for comparison"),
    ]
    if d:
        pairs += [
            (
                "duration",
                f"average {d['average']} ms, p50 {d['p50']}, p95 {d['p95']}, p99 {d['p99']}, "
                f"min {d['min']}, max {d['max']} ({d['count']} measured)",
            ),
            ("duration", f"percentiles: {d['percentile']}; {_other_methods(d)}"),
        ]
    else:
        pairs.append(("duration", "no record has one"))
    if r:
        pairs.append(("retries", _retries(r)))
    return pairs


def _other_methods(d: dict[str, Any]) -> str:
    others = {name: value for name, value in d["p95ByMethod"].items() if name != d["percentile"]}
    return "p95 would be " + ", ".join(f"{value} by {name}" for name, value in others.items())


def _retries(r: dict[str, Any]) -> str:
    depths = ", ".join(f"{count} with {depth}" for depth, count in r["distribution"].items())
    return f"average {r['average']}, at most {r['max']} ({depths})"


def _breakdowns(f: dict[str, Any]) -> None:
    records, failures = f["totals"]["records"], f["totals"]["failure"]
    for name, key in (("status", "statusBreakdown"), ("scope", "scopeBreakdown")):
        if rows := f[key]:
            render.say()
            render.table(
                (name.title(), "Records", "Share of all"),
                [(row[name], row["count"], wording.percent(row["count"] / records)) for row in rows],
                wrap=(name.title(),),
            )
    if rows := f["errors"]["byCode"]:
        render.say()
        render.table(
            ("Error", "Failures", "Share of failures", "Said"),
            [
                (
                    row["code"],
                    row["count"],
                    wording.percent(row["count"] / failures),
                    row["sampleMessages"] or "",
                )
                for row in rows
            ],
            wrap=("Error", "Said"),
        )
    if rows := f["failureSamples"]:
        render.say()
        render.table(
            ("Line", "Failed decision", "Status", "Error", "Attempt", "Took"),
            [
                (
                    row["line"],
                    _or_blank(row["decisionId"]),
                    _or_blank(row["status"]),
                    _or_blank(row["errorCode"]),
                    _or_blank(row["attempt"]),
                    "" if row["durationMs"] is None else f"{row['durationMs']} ms",
                )
                for row in rows
            ],
            wrap=("Failed decision", "Status", "Error"),
        )
        if failures > len(rows):
            render.say(f"(the first {len(rows)} of {failures})")
    if rows := f["hours"]:
        render.say()
        render.table(
            ("Hour (UTC)", "Records", "Succeeded", "Failed", "Unknown"),
            [
                (wording.moment(row["hour"]), row["total"], row["success"], row["failure"], row["unknown"])
                for row in rows[-_HOURS_SHOWN:]
            ],
        )
        if len(rows) > _HOURS_SHOWN:
            render.say(f"(the last {_HOURS_SHOWN} of {len(rows)} hours; --json has all)")


def _or_blank(value: object) -> object:
    return "" if value is None else value


def _rejects(parse: dict[str, Any], at_most: int) -> None:
    shown = parse["samples"][:at_most]
    if not shown:
        return
    render.say()
    render.table(
        ("Line", "Rejected because", "What stands there"),
        [(row["line"], row["reason"], row["preview"]) for row in shown],
        wrap=("Rejected because", "What stands there"),
    )
    if parse["rejects"] > len(shown):
        render.say(f"(the first {len(shown)} of {parse['rejects']})")


def _tell_legacy(chosen: "Mapping[str, Summary]") -> None:
    """The legacy figures under one heading a tool, figure beside figure."""
    columns = {name: dict(_LEGACY[name](found.to_dict())) for name, found in chosen.items()}
    labels = list(dict.fromkeys(label for column in columns.values() for label in column))
    headings = [_TOOLS[name] for name in columns]
    render.say(f"{next(iter(chosen.values())).figures['source']}, counted as the legacy tools counted\n")
    render.table(
        ("", *headings),
        [(label, *(column.get(label, "not reported") for column in columns.values())) for label in labels],
        wrap=headings,
    )
    render.say("\nNotes")
    for found in chosen.values():
        render.say(found.figures["notes"], "  ", "    ")


def _analyze(f: dict[str, Any]) -> list[tuple[str, object]]:
    t, d, r = f["totals"], f["durationsMs"], f["retries"]
    return [
        *_legacy_counts(t["records"], t),
        ("failure rate", f"{wording.percent(t['failureRate'])} of known outcomes"),
        *_legacy_durations(d, "", "nearest rank"),
        ("retries", _retries(r) if r else "none"),
        ("statuses", [f"{row['status']}: {row['count']}" for row in f["statusBreakdown"]] or "none"),
        ("errors", [f"{row['code']}: {row['count']}" for row in f["errors"]["byCode"]] or "none"),
        ("scopes", [f"{row['scope']}: {row['count']}" for row in f["scopeBreakdown"]] or "none"),
        ("window", _window(f["timeWindow"]) if f["timeWindow"] else "none"),
        ("hours", [f"{wording.moment(row['hour'])}: {row['total']}" for row in f["hourlyBuckets"]] or "none"),
        ("lines not read", f["parse"]["skippedLines"]),
        ("verdict", "gives none"),
    ]


def _alerts(f: dict[str, Any]) -> list[tuple[str, object]]:
    thresholds = f["thresholds"]
    return [
        *_legacy_counts(f["total"], f),
        ("failure rate", f"{wording.percent(f['failureRate'])} of all records"),
        *_legacy_durations(f["durationStats"], "Ms", "linear"),
        ("statuses", [f"{name}: {count}" for name, count in f["statuses"].items()] or "none"),
        ("errors", [f"{name}: {count}" for name, count in f["errorCodes"].items()] or "none"),
        ("window", _window(f["window"]) if f["window"] else "none"),
        ("lines not read", f"{f['parseErrorCount']}, counted as unknown"),
        ("verdict", [_VERDICTS.get(f["status"], f["status"]), *f["alertReasons"]]),
        (
            "thresholds",
            [
                f"failure rate {wording.percent(thresholds['failureRate'])}",
                f"p95 {thresholds['p95Ms']} ms",
                f"at least {thresholds['minSamples']} records",
            ],
        ),
    ]


_LEGACY = {"analyze": _analyze, "alerts": _alerts}


def _legacy_counts(records: int, counts: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        ("records", records),
        ("succeeded", counts["success"]),
        ("failed", counts["failure"]),
        ("unknown", counts["unknown"]),
    ]


def _legacy_durations(d: dict[str, Any] | None, unit: str, method: str) -> list[tuple[str, object]]:
    if d is None:
        return [("durations", "none")]
    return [
        ("durations", d["count"]),
        ("average", f"{d[f'average{unit}']} ms"),
        ("p50", f"{d[f'p50{unit}']} ms ({method})"),
        ("p95", f"{d[f'p95{unit}']} ms ({method})"),
        ("max", f"{d[f'max{unit}']} ms"),
    ]
