"""How a session ends: closed, sealed, written out, bundled, and the bundle checked as a stranger would check it."""

from dataclasses import dataclass
from datetime import datetime

from cairnops.domain.conversations import Actor
from cairnops.evidence import artifacts, bundle, verify
from cairnops.evidence.artifacts import Artifact
from cairnops.evidence.bundle import Bundle
from cairnops.evidence.payload import Report
from cairnops.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class HandOver:
    """What a closed session left."""

    artifacts: tuple[Artifact, ...]
    bundle: Bundle
    report: Report


def end(workspace: Workspace, session: str, actor: Actor, at: datetime) -> HandOver:
    """Close the session (one closed already stays so) and hand over everything that came of it.

    A bundle written before takes in what was sealed and delivered since.

    Raises:
        NotFound: when there is no such session.
        InputError: when a file cannot be written, or a screenshot cannot go into a bundle.
        WorkspaceError: when the ledger keeps changing meanwhile, or its key cannot be read.
    """
    workspace.sessions.close(session, actor, at)
    workspace.seal(actor, at)
    files = artifacts.write(workspace, session)
    made = bundle.write(
        workspace,
        session,
        bundle.default_name(workspace, session),
        at=at,
        replace=True,
        page=lambda: bundle.report_of(workspace, session),
    )
    return HandOver(artifacts=tuple(files), bundle=made, report=verify.verify(made.kept.path))
