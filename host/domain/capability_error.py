"""Failures of platform calls as flows see them."""

from host.domain.guest_text import cut_message


class CapabilityError(Exception):
    """The platform call fails with an error that the guest may catch.

    Attributes:
        code: stable kebab-case identifier (docs/reference/errors.md).
    """

    def __init__(self, code: str, message: str, *, account: str | None = None) -> None:
        self.code = code
        self.account = account
        self.message = cut_message(message)
        super().__init__(self.message)
