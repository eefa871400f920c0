"""Errors of the administrative log."""

from host.domain.errors import InvalidInputError, UnavailableError


class ActNotRecordedError(UnavailableError):
    """The administrative log cannot be written, so the operation was not performed."""

    code = "act-not-recorded"


class AdministrativeLogUnreadableError(InvalidInputError):
    """There is no administrative log at this path, or it cannot be read."""

    code = "administrative-log-unreadable"
