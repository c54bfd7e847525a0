"""`report html`: one page for everybody who will never open a terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairnops.cli import exits, render, report, wording
from cairnops.cli.common import SessionOption, WorkspaceOption, narrate, opened

if TYPE_CHECKING:
    from cairnops.evidence.report import Figures


def html(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SESSION|EXPORT",
            help="A session, or exports and folders of them (default: the whole workspace).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("report.html"),
    pictures: Annotated[
        Path | None,
        typer.Option("--png", help="Write every chart as a PNG into this folder, too.", show_default=False),
    ] = None,
    drawings: Annotated[
        Path | None,
        typer.Option("--svg", help="Write every chart as an SVG into this folder, too.", show_default=False),
    ] = None,
    title: Annotated[str, typer.Option(help="What the page is called.", show_default="the session's")] = "",
    policy: report.PolicyOption = "",
    at: report.AtOption = "",
    session: SessionOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """SLA, latency, practice and delivery on one page that needs no network: charts, and the rows behind them.

    Exit code 0 written (whatever the figures say), 2 not readable, 3 nothing to report on.

    Example: cairnops report html cx-escalations -o report.html
    """
    from cairnops.errors import NOT_ENOUGH
    from cairnops.evidence import charts
    from cairnops.evidence import report as pages
    from cairnops.telemetry.writer import write_whole

    if pictures or drawings:
        charts.required()
    figures = _figures(what or [], session, title, policy, at, workspace)
    if not (figures.material.cases or figures.material.decided or figures.material.deliveries):
        narrate("nothing to report on: no decision, conversation or delivery among the inputs")
        exits.leave(NOT_ENOUGH)
    if not charts.available():
        narrate("charts are left out; pip install 'cairnops[charts]' draws them")
    for folder, ending in ((pictures, "png"), (drawings, "svg")):
        for chart in figures.charts if folder else ():
            assert folder is not None
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / f"{chart.name}.{ending}", chart.png() if ending == "png" else chart.svg())
        if folder:
            narrate(f"wrote {wording.count(len(figures.charts), 'chart')} to {folder}")
    written = write_whole(output, pages.page(figures))
    narrate(f"wrote {written.bytes / 1024:,.0f} KiB, sha256 {written.sha256}")
    render.raw(f"{render.safe(output)}\n")


def _figures(
    what: list[str], session: str, title: str, policy: str, at: str, workspace: Path | None
) -> "Figures":
    from cairnops.analytics.inputs import Material
    from cairnops.evidence import report as pages

    paths = [Path(given) for given in what]
    if (
        len(what) == 1
        and not session
        and not paths[0].exists()
        and paths[0].name == what[0]
        and not paths[0].suffix
    ):
        session, paths = what[0], []
    chosen = report.in_force(policy, workspace)
    if not paths:
        moment = report.moment(at, Material()) if at else None
        with opened(workspace) as w:
            return pages.of_workspace(w, session, policy=chosen, at=moment, title=title)
    material = report.gathered(paths, session, workspace)
    return pages.measure(
        material,
        chosen.policy,
        report.moment(at, material),
        title=title or (session or ", ".join(p.stem or p.name for p in paths[:3])),
        sync=pages.summaries(paths, chosen.policy),
        link=report.case_address(),
        overrides=chosen.overrides(),
    )
