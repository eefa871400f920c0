"""Refusals of the administrative log."""

from host.domain.errors import InvalidInputError, UnavailableError


class ActNotRecordedError(UnavailableError):
    """The administrative log cannot be written, so nothing that changes the host is done."""

    code = "act-not-recorded"


class AdministrativeLogUnreadableError(InvalidInputError):
    """There is no administrative log at the place, or it cannot be read."""

    code = "administrative-log-unreadable"
