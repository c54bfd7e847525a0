"""`deliver`: finish what is saved and not yet sent."""

from cairnops.cli import exits, render
from cairnops.cli.common import JsonOption, WorkspaceOption, narrate, opened


def deliver(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Deliver every effect that was committed and has not ended, as an interrupted run leaves them.

    Exit code 1 when one of them did not reach the help desk. When the help desk is down they wait.

    Example: cairnops deliver
    """
    import asyncio

    with opened(workspace) as w:
        ended: list[dict[str, object]] = []
        if w.ledger.counts()["undelivered"]:
            narrate("delivering what was left")
            with w.help_desk() as remote:

                async def drain() -> None:
                    async with w.client(remote) as client:
                        await w.deliver(
                            client,
                            circuit=w.circuit(client),
                            told=lambda uid, attempt, status: ended.append(
                                {"effect": uid, "attempt": attempt, "status": status}
                            ),
                        )

                asyncio.run(drain())
            if held := sum(job.stage == "parked" for job in w.jobs.listed()):
                narrate(f"{held} effects wait for a person: cairnops jobs list --parked")
        by_uid = {row["uid"]: row for row in w.ledger.deliveries()}
        for other, count in w.outbox.elsewhere().items():
            narrate(f"{count} effects are for another help desk and stay: {other or 'none was named'}")
    rows = [
        {
            **end,
            "decisionId": by_uid[str(end["effect"])]["number"],
            "kind": by_uid[str(end["effect"])]["kind"],
        }
        for end in ended
    ]

    def tell() -> None:
        if not rows:
            narrate("nothing was left to deliver")
            return
        render.table(
            ("Decision", "Effect", "Outcome"),
            [
                (
                    row["decisionId"] or "–",
                    row["kind"],
                    (
                        "ok" if row["status"] == "SUCCESS" else "bad",
                        f"{row['status']} at attempt {row['attempt']}",
                    ),
                )
                for row in rows
            ],
        )

    render.emit(rows, as_json, tell)
    exits.findings([row for row in rows if row["status"] != "SUCCESS"])
