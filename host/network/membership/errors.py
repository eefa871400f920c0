"""Refusals of membership."""

from host.domain.errors import NotFoundError


class GroupParametersUnknownError(NotFoundError):
    """No member of the group has registered on this host yet."""

    code = "group-parameters-unknown"


class RegistrationInvalidError(Exception):
    """The request ends as INVALID; `reason` is shown in its status."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
