"""Refusals of the access control."""

from host.domain.errors import ConflictError, HostError, InvalidInputError


class NotAuthenticatedError(HostError):
    """No credentials, or wrong ones. The message never tells which part was wrong."""

    code = "not-authenticated"


class UserInvalidError(InvalidInputError):
    """A login name or a password breaks the rules for them."""

    code = "user-invalid"


class UserExistsError(ConflictError):
    """The login name is taken."""

    code = "user-exists"
