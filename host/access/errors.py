"""Refusals of the access control."""

from host.domain.errors import ConflictError, HostError, InvalidInputError, UnavailableError


class NotAuthenticatedError(HostError):
    """No credentials, or wrong ones. The message never says which part was wrong."""

    code = "not-authenticated"


class UserInvalidError(InvalidInputError):
    """A login name or a password does not meet the rules."""

    code = "user-invalid"


class UserExistsError(ConflictError):
    """The login name is in use."""

    code = "user-exists"


class SignInDelayedError(UnavailableError):
    """Too soon after wrong passwords of this user or from this address; retry later."""

    code = "sign-in-delayed"
