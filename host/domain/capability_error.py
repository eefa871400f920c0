"""Failures of platform calls as flows see them."""

from host.domain.guest_text import cut_message


class CapabilityError(Exception):
    """The platform call fails with an error that the guest may catch.

    Attributes:
        code: stable kebab-case identifier (docs/reference/errors.md).
        account: of `quota-exceeded`: which account of the node has no room.
        reason_code: the code that the counterparty's flow or the contract gave as its reason; None
            if it gave none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        account: str | None = None,
        reason_code: str | None = None,
    ) -> None:
        self.code = code
        self.account = account
        self.reason_code = reason_code
        self.message = cut_message(message)
        super().__init__(self.message)
