"""Which registrations are approved by hand: rules of the MGM's operators. Pure."""

from collections.abc import Sequence

from host.domain.errors import InvalidInputError
from host.domain.linear_pattern import linear_pattern


class ApprovalRuleInvalidError(InvalidInputError):
    """An approval rule's expression is blank, no expression, or takes more than linear time."""

    code = "approval-rule-invalid"


def check_expression(regex: str) -> None:
    """Check the expression of a rule.

    Raises:
        ApprovalRuleInvalidError: it is blank or cannot be used.
    """
    if not regex.strip():
        raise ApprovalRuleInvalidError("an approval rule's expression is blank")
    if linear_pattern(regex) is None:
        raise ApprovalRuleInvalidError(
            f"{regex[:80]!r} cannot be used as an expression: it is malformed, too large, or has"
            " look-around or back references"
        )


def is_manual(expressions: Sequence[str], changed: Sequence[str]) -> bool:
    """Whether an expression occurs in the name of a changed entry.

    An expression that no longer compiles counts as found: the safe side.
    """
    for regex in expressions:
        pattern = linear_pattern(regex)
        if pattern is None or any(pattern.occurs_in(name) for name in changed):
            return True
    return False
