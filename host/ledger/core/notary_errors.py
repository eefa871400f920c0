"""A notary's refusals: Corda's kinds, and the codes by which flows see them. Pure.

Source: corda-api `NotaryException.java`, corda-runtime-os `PluggableNotaryFlowHelpers.kt`.
"""

import re
from enum import StrEnum

from host.domain.capability_error import CapabilityError


class ErrorKind(StrEnum):
    """Corda's kinds of a notary's refusal (`NotaryError*`), those of a uniqueness check first."""

    INPUT_STATE_UNKNOWN = "InputStateUnknown"
    INPUT_STATE_CONFLICT = "InputStateConflict"
    REFERENCE_STATE_UNKNOWN = "ReferenceStateUnknown"
    REFERENCE_STATE_CONFLICT = "ReferenceStateConflict"
    TIME_WINDOW_OUT_OF_BOUNDS = "TimeWindowOutOfBounds"
    TIME_WINDOW_BEFORE_LOWER_BOUND = "TimeWindowBeforeLowerBound"
    NOT_PREVIOUSLY_SEEN_TRANSACTION = "NotPreviouslySeenTransaction"
    MALFORMED_REQUEST = "MalformedRequest"
    TRANSACTION_VERIFICATION_FAILURE = "TransactionVerificationFailure"
    INVALID_SIGNATURE = "InvalidSignature"
    GENERAL = "General"

    @property
    def is_fatal(self) -> bool:
        """Whether the transaction can never be notarised; otherwise a later attempt may succeed."""
        return self not in _UNDECIDED

    @property
    def words(self) -> str:
        """Corda's words for the kind: `Input State Conflict` for `InputStateConflict`."""
        return _CAPITAL.sub(r" \1", self.value)


_CAPITAL = re.compile(r"(?<=.)([A-Z])")
_UNDECIDED = frozenset(
    {
        ErrorKind.TIME_WINDOW_BEFORE_LOWER_BOUND,
        ErrorKind.NOT_PREVIOUSLY_SEEN_TRANSACTION,
        ErrorKind.GENERAL,
    }
)


class NotaryCode(StrEnum):
    """The code of each fatal kind, by the kind's name: the transaction can never be notarised."""

    INPUT_STATE_UNKNOWN = "notary-input-state-unknown"
    INPUT_STATE_CONFLICT = "notary-input-state-conflict"
    REFERENCE_STATE_UNKNOWN = "notary-reference-state-unknown"
    REFERENCE_STATE_CONFLICT = "notary-reference-state-conflict"
    TIME_WINDOW_OUT_OF_BOUNDS = "notary-time-window-out-of-bounds"
    MALFORMED_REQUEST = "notary-malformed-request"
    TRANSACTION_VERIFICATION_FAILURE = "notary-transaction-verification-failure"
    INVALID_SIGNATURE = "notary-invalid-signature"


FATAL_CODES = frozenset(code.value for code in NotaryCode)


class NotaryRefusedError(CapabilityError):
    """The notary will never notarise the transaction; the message has Corda's words.

    `kind` is a fatal one.
    """

    def __init__(self, transaction_id: str, kind: ErrorKind, message: str) -> None:
        words = "" if message.startswith(kind.words) else f"{kind.words}: "
        super().__init__(
            NotaryCode[kind.name].value,
            f"Unable to notarize transaction {transaction_id} {words}{message}",
        )


class FinalityUndecidedError(CapabilityError):
    """The notary gave no answer that decides; the transaction may become final later."""

    def __init__(self, message: str) -> None:
        super().__init__("finality-undecided", message)
