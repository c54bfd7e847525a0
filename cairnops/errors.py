"""What can go wrong, in sentences a person can act on; each error knows its exit code."""

CLEAN, FINDINGS, USAGE, NOT_ENOUGH = 0, 1, 2, 3

#: The whole table, as the documentation prints it.
EXIT_CODES = {
    CLEAN: "clean",
    FINDINGS: "findings: an alert, a mismatch, a failed scenario, a broken proof",
    USAGE: "usage, or input that cannot be read",
    NOT_ENOUGH: "not enough data to say",
}


class CairnError(Exception):
    """Something went wrong."""

    exit_code = USAGE

    def __init__(self, message: str | None = None, *, hint: str = ""):
        super().__init__(message or (self.__doc__ or "").strip())
        #: What to do next, in one sentence.
        self.hint = hint


class SettingError(CairnError):
    """A setting has a value that is not accepted."""


class PolicyError(CairnError):
    """The policy file cannot be used."""


class PackError(CairnError):
    """The scenario pack cannot be used."""


class InputError(CairnError):
    """The input cannot be read."""


class NotFound(CairnError):
    """There is no such thing in this workspace."""


class WorkspaceError(CairnError):
    """The workspace cannot be opened."""


class StaleFacts(CairnError):
    """The conversation changed between reading it and committing; read it again."""


class RemoteError(CairnError):
    """The help desk did not do what was asked."""
