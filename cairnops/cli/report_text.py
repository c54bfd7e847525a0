"""How the reports read in a terminal of 80 columns: each rate beside what it divides by."""

from typing import Any

from cairnops.cli import render, wording


def span(seconds: float | None) -> str:
    """A length of time in the two units that matter: `2 d 4 h`, `1 h 05 min`, `3 min 20 s`, `240 ms`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms" if seconds else "0 s"
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{whole} s"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({wording.percent(part / whole)})" if whole else "none"


def _late(tally: dict[str, Any]) -> str:
    return _share(tally["missed"] + tally["overdue"], tally["denominator"])


_SLA_NAMES = {
    "firstResponse": "first response",
    "nextResponse": "next response",
    "resolution": "resolution",
}
_VERDICTS = {"ok": "FINE", "warn": "WARNING", "alert": "ALERT", "insufficient-data": "NOT ENOUGH DATA"}


def _policy(policy: dict[str, Any]) -> list[tuple[str, str]]:
    """By which policy, and what in it is not its profile's."""
    return [
        ("policy", f"profile {policy['profile']}, hash {policy['hash'][:16]}"),
        *(
            (
                "policy",
                f"{o['key']} {wording.value(o['value'])} set by {o['by']}, in place of {wording.value(o['instead'])}",
            )
            for o in policy["overrides"]
        ),
    ]


def tell_sla(data: dict[str, Any], by: str) -> None:
    """The SLA figures, broken down by one dimension, and the verdict with its thresholds."""
    t, counting, verdict = data["totals"], data["counting"], data["verdict"]
    hours = wording.value(counting["businessHours"]) if counting["businessHours"] else "round the clock"
    render.lines(
        [
            ("as of", f"{wording.moment(data['asOf'])} UTC"),
            (
                "conversations",
                f"{t['conversations']}, {t['open']} open or pending, {t['unreplied']} never answered",
            ),
            ("clock in force", f"{counting['clock'].replace('_', ' ')}, {hours}"),
            *_policy(data["policy"]),
        ]
    )
    render.say()
    render.table(
        ("Measure", "Target", "Met", "Missed", "Waiting", "Overdue", "Missed of decided"),
        [
            (
                label,
                span(data["targetsMinutes"][name] * 60),
                *(t[name][word] for word in ("met", "missed", "waiting", "overdue")),
                _late(t[name]),
            )
            for name, label in _SLA_NAMES.items()
        ],
        wrap=("Missed of decided",),
    )
    render.say()
    render.table(
        ("Clock", "Breached, open ones", "Breached, all"),
        [
            (
                c["clock"].replace("_", " ") + (" (in force)" if c["inForce"] else ""),
                _share(c["breachedOpen"], c["open"]),
                _share(c["breached"], c["conversations"]),
            )
            for c in data["clocks"]
        ],
        wrap=("Clock",),
    )
    agreement, delta = data["clockAgreement"], data["clockDeltaMinutes"]
    render.say(
        f"\nSince creation or since the customer's last message: {agreement['both']} breached either way,"
        f" {agreement['only_created']} only since creation, {agreement['only_last_customer']} only since the last"
        f" message."
        + (f" The first runs {span(delta['p50'] * 60)} ahead at the median, {span(delta['most'] * 60)} at most."
           if delta else "")
    )  # fmt: skip
    groups = data["breakdowns"][by]
    if groups:
        render.say()
        render.table(
            (
                by.title() if by != "day" else "Day (UTC)",
                "Cases",
                "Breached, open",
                "First late",
                "Next late",
            ),
            [
                (
                    g[by] or "(none)",
                    g["conversations"],
                    _share(g["breachedOpen"], g["open"]),
                    _late(g["firstResponse"]),
                    _late(g["nextResponse"]),
                )
                for g in groups
            ],
            wrap=("Operator", "Team", "Inbox", "Priority", "Breached, open", "First late", "Next late"),
        )
    limits = verdict["thresholds"]
    render.say(f"\n{_VERDICTS[verdict['status']]}")
    for reason in verdict["reasons"]:
        render.say(reason, "  ", "    ")
    render.say(
        f"thresholds: breached of open conversations warns above {wording.percent(limits['warnAbove'])}, critical"
        f" above {wording.percent(limits['criticalAbove'])}; at least {limits['minSamples']} open conversations",
        "  ",
        "    ",
    )


_STAGE_NAMES = {
    "breachToDecision": "breach → decision",
    "decisionToDelivered": "decision → delivered",
    "escalateToAcknowledged": "escalated → acknowledged",
    "escalateToUpdated": "escalated → updated",
    "handling": "opened → decided",
    "pickup": "picked up → first act",
}


def tell_latency(data: dict[str, Any]) -> None:
    """Every stage's percentiles, what is in none of them, and minutes recovered where a baseline is."""
    render.lines(
        [
            ("as of", f"{wording.moment(data['asOf'])} UTC"),
            ("percentiles", f"{data['percentile']}; ≥ where open ones count with their age so far"),
            *_policy(data["policy"]),
        ]
    )
    render.say()
    render.table(
        ("Stage", "Ended", "Open", "p50", "p90", "p95", "p99"),
        [
            (
                _STAGE_NAMES[s["stage"]],
                s["ended"],
                s["open"],
                *(_point(s, p) for p in ("p50", "p90", "p95", "p99")),
            )
            for s in data["stages"]
        ],
        wrap=("Stage",),
    )
    for s in data["stages"]:
        name = _STAGE_NAMES[s["stage"]]
        if s["open"]:
            ended = ", ".join(f"{p} {_short(v)}" for p, v in (s["ofEnded"] or {}).items()) or "none ended"
            render.say(f"{name}, ended ones alone: {ended}", "  ", "    ")
        if s["denominator"]:
            late = _share(s["missed"] + s["overdue"], s["denominator"])
            render.say(f"{name}, later than {span(s['targetS'])}: {late}", "  ", "    ")
    if data["aside"]:
        render.say("\nIn no distribution")
        for what, count in data["aside"].items():
            render.say(f"{what}: {count}", "  ", "    ")
    for r in data.get("minutesRecovered", ()):
        render.say(f"\nMinutes recovered, {_STAGE_NAMES[r['measure']]}")
        render.lines(
            [
                (
                    "by hand",
                    f"{span(r['baselineMeanS'])} on average, {wording.count(r['baselines'], 'measurement')}",
                ),
                ("from", "; ".join(r["sources"])),
                ("here", f"{span(r['productMeanS'])} on average, {wording.count(r['cases'], 'case')}"),
                ("recovered", f"{r['minutes']} min in all, {r['minutesPerCase']} min a case at the median"),
            ],
            indent="  ",
        )
    if "minutesRecovered" not in data:
        render.say("\nOpened → decided is time in the product. To compare it, time the same by hand:"
                   " cairnops report baseline start.")  # fmt: skip
    render.say(f"\n{_VERDICTS[data['verdict']['status']]}")
    for reason in data["verdict"]["reasons"]:
        render.say(reason, "  ", "    ")


def _point(stage: dict[str, Any], p: str) -> str:
    if not stage["atLeast"]:
        return "–"
    return ("≥ " if stage["open"] else "") + _short(stage["atLeast"][p])


def _short(seconds: float) -> str:
    """`span` for a narrow column: `1h05m`."""
    return span(seconds).replace(" min", "m").replace(" ms", "ms").replace(" ", "")


def tell_practice(data: dict[str, Any]) -> None:
    """Rates with their denominators, then who, where, when, what was edited, and the guardrails."""
    t, band = data["totals"], data["escalationBand"]
    inside = "not enough cases to judge" if band["verdict"] == "insufficient-data" else band["verdict"]
    edges = f"{band['percent'][0]}–{band['percent'][1]}%"
    render.lines(
        [
            ("edited", f"{_share(t['edited'], t['repliesFromSuggestion'])} replies from a suggestion;"
                       f" {t['rewritten']} written anew"),
            ("by hand", f"{_share(t['repliesByHand'], t['repliesFromSuggestion'] + t['repliesByHand'])} replies"),
            ("abstained", f"{_share(t['abstained'], t['openings'])} openings had no suggestion"),
            ("overridden", f"{_share(t['overrides'], t['blocksMet'])} requests that met a block"),
            ("escalated", f"{_share(t['escalated'], t['handled'])} cases decided on; band {edges}: {inside}"),
            ("right answers", f"{_share(t['right'] + t['acceptable'], t['answered'])} scenarios with an answer key"),
            *_policy(data["policy"]),
        ]
    )  # fmt: skip
    for title, name, rows in (
        ("Operator", "operator", data["byOperator"]),
        ("Session", "cohort", data["byCohort"]),
    ):
        if rows:
            render.say()
            render.table(
                (title, "Decided", "Edited", "Overridden", "Escalated", "Right"),
                [_practice_row(r[name] or "(none)", r) for r in rows],
                wrap=(title, "Edited", "Overridden", "Escalated", "Right"),
            )
    if len(data["overTime"]) > 1:
        render.say()
        render.table(
            ("Day (UTC), session, operator", "Decided", "Edited", "Overridden", "Escalated", "Right"),
            [
                _practice_row([r["day"], r["cohort"] or "(no session)", r["operator"]], r)
                for r in sorted(data["overTime"], key=lambda r: (r["day"], r["cohort"], r["operator"]))
            ],
            wrap=("Day (UTC), session, operator", "Edited", "Overridden", "Escalated", "Right"),
        )
    if data["editPatterns"]:
        render.say()
        render.table(
            ("Decisions", "Taken out", "Put in"),
            [(p["decisions"], p["removed"] or "–", p["added"] or "–") for p in data["editPatterns"]],
            wrap=("Taken out", "Put in"),
        )
    fired = [c for c in data["confusion"] if c["fired"]]
    if fired:
        render.say()
        render.table(
            ("Guardrail", "Raised", "right", "wrong", "Silent", "right", "wrong"),
            [
                (
                    c["code"],
                    c["fired"],
                    c["firedRight"],
                    c["firedWrong"],
                    c["silentRight"] + c["silentWrong"],
                    c["silentRight"],
                    c["silentWrong"],
                )
                for c in fired
            ],
            wrap=("Guardrail",),
        )
        quiet = len(data["confusion"]) - len(fired)
        if quiet:
            render.say(f"({quiet} guardrails were never raised; --json has them)")


def _practice_row(name: object, r: dict[str, Any]) -> tuple[object, ...]:
    return (
        name,
        r["decisions"],
        _share(r["edited"], r["repliesFromSuggestion"]),
        _share(r["overrides"], r["blocksMet"]),
        _share(r["escalated"], r["handled"]),
        _share(r["right"] + r["acceptable"], r["answered"]),
    )


def tell_conversations(rows: list[dict[str, Any]]) -> None:
    """The columns a person looks for first; all of them are in the files and in --json."""
    if not rows:
        return
    render.table(
        ("Case", "Customer", "Operator", "First answer", "Resolution", "Decisions"),
        [
            (
                [r["conversation"].removeprefix("chatwoot:"), r["status"]],
                r["customer"] or "(no name known)",
                r["operator"] or "(nobody yet)",
                _waited(r["firstResponse"], r["firstResponseMinutes"]),
                _waited(r["resolution"], r["resolutionMinutes"]),
                ", ".join(map(str, r["decisionIds"])) or "none",
            )
            for r in rows
        ],
        wrap=("Customer", "Operator", "First answer", "Resolution", "Decisions"),
    )


def _waited(outcome: str | None, minutes: int | None) -> str:
    return f"{outcome}, {span((minutes or 0) * 60)}" if outcome else "nobody asked"
