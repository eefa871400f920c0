"""Refusals of membership."""

from host.domain.errors import NotFoundError


class RegistrationNotFoundError(NotFoundError):
    """The node has no registration request of this identifier."""

    code = "registration-not-found"


class MemberNotFoundError(NotFoundError):
    """No virtual node has this short hash."""

    code = "virtual-node-not-found"


class GroupParametersUnknownError(NotFoundError):
    """No member of the group has registered on this host yet."""

    code = "group-parameters-unknown"


class RegistrationInvalidError(Exception):
    """The request ends as INVALID; `reason` is shown in its status."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
