"""Refusals of the access control."""

from host.domain.errors import ConflictError, HostError, InvalidInputError, UnavailableError


class NotAuthenticatedError(HostError):
    """No credentials, or wrong ones. The message never tells which part was wrong."""

    code = "not-authenticated"


class UserInvalidError(InvalidInputError):
    """A login name or a password breaks the rules for them."""

    code = "user-invalid"


class UserExistsError(ConflictError):
    """The login name is taken."""

    code = "user-exists"


class SignInDelayedError(UnavailableError):
    """Wrong passwords of this user, or from this address, make the next one wait."""

    code = "sign-in-delayed"
