"""Refusals of the access control."""

from host.domain.errors import (
    ConflictError,
    ForbiddenError,
    HostError,
    InvalidInputError,
    UnavailableError,
)


class NotAuthenticatedError(HostError):
    """No credentials, or wrong ones. The message never says which part was wrong."""

    code = "not-authenticated"


class ExternalUserRefusedError(NotAuthenticatedError):
    """The identity provider knows the user, but the cluster has none of this name who may sign in.

    The user may also be disabled, or have a password.
    """

    code = "external-user-refused"


class UserInvalidError(InvalidInputError):
    """A login name or a password does not meet the rules."""

    code = "user-invalid"


class UserExistsError(ConflictError):
    """The login name is in use."""

    code = "user-exists"


class SignInDelayedError(UnavailableError):
    """Too soon after wrong passwords of this user or from this address; retry later."""

    code = "sign-in-delayed"


class PasswordExpiredError(ForbiddenError):
    """The user's password has expired; `POST /user/selfpassword` with it sets another one."""

    code = "password-expired"


class PermissionInvalidError(InvalidInputError):
    """A permission string is too long, too heavy or no regular expression."""

    code = "permission-invalid"


class RoleInvalidError(InvalidInputError):
    """The name or group visibility of a role or permission does not meet the rules."""

    code = "role-invalid"


class RoleExistsError(ConflictError):
    """The name of the role is in use."""

    code = "role-exists"


class AssociationExistsError(ConflictError):
    """The user has the role already, or the role the permission."""

    code = "association-exists"


class AssociationMissingError(InvalidInputError):
    """The user does not have the role, or the role not the permission."""

    code = "association-missing"


class AccessLimitError(ConflictError):
    """There are as many roles, permissions or associations as a cluster may have."""

    code = "access-limit"


class GroupNotEmptyError(ConflictError):
    """Users or other groups are in the group."""

    code = "group-not-empty"


class GroupNestingError(InvalidInputError):
    """The group would be in itself, or in too many others."""

    code = "group-nesting"
