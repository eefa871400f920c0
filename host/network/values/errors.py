"""What is wrong with values of membership that came from elsewhere."""

from host.domain.errors import InvalidInputError


class ContextInvalidError(InvalidInputError):
    """A context of a member is malformed, too large, or lacks an entry."""

    code = "member-context-invalid"


class MembershipMessageInvalidError(InvalidInputError):
    """A message of membership, the record of one, or the head of a member list is malformed."""

    code = "membership-message-invalid"
