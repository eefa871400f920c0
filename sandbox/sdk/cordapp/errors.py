"""What platform calls raise. A flow may catch them; uncaught, they end it with their code."""

import json

from cordapp.registry import Host, HostCallError
from cordapp.schema import dumps


class CordaRuntimeError(Exception):
    """A platform call failed, or a flow refuses to go on.

    Attributes:
        code: stable identifier; uncaught, it becomes the code of the failed flow's error.
        reason_code: the code that the counterparty's flow or the contract gave as its reason, None
            if it gave none; uncaught, it takes the place of `code`.

    >>> raise CordaRuntimeError("iou-over-limit", "at most 50")
    Traceback (most recent call last):
    cordapp.errors.CordaRuntimeError: at most 50
    """

    def __init__(self, code: str, message: str, *, reason_code: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason_code = reason_code


class SessionError(CordaRuntimeError):
    """The peer's flow failed; message and `reason_code` are the peer's."""


class SessionClosedError(SessionError):
    """The peer's flow ended, or closed the session."""


class ContractVerificationError(CordaRuntimeError):
    """A contract refuses the transaction; message and `reason_code` are the contract's."""


class TransactionInvalidError(CordaRuntimeError):
    """A structural rule of transactions is broken; the message begins with the rule."""


class FinalityRefusedError(CordaRuntimeError):
    """A counterparty does not sign; `reason_code` is the code that it gave."""


class BackchainError(CordaRuntimeError):
    """The transactions that one depends on could not be resolved, or one of them is invalid."""


class NotaryError(CordaRuntimeError):
    """The notary refuses the transaction for ever; the message is Corda's."""

    @property
    def kind(self) -> str:
        """Corda's kind, such as `input-state-conflict` or `time-window-out-of-bounds`."""
        return self.code.removeprefix("notary-")


class EntityExistsError(CordaRuntimeError):
    """An entity with this key is stored already."""


_BACKCHAIN = (
    "backchain-incomplete",
    "backchain-invalid",
    "backchain-too-large",
    "backchain-unexpected",
)
_NOTARY_KINDS = (
    "input-state-conflict",
    "input-state-unknown",
    "invalid-signature",
    "malformed-request",
    "reference-state-conflict",
    "reference-state-unknown",
    "time-window-out-of-bounds",
    "transaction-verification-failure",
)
_CLASSES = {
    "session-error": SessionError,
    "session-closed": SessionClosedError,
    "contract-verification-failed": ContractVerificationError,
    "entity-exists": EntityExistsError,
    "finality-refused": FinalityRefusedError,
    "transaction-invalid": TransactionInvalidError,
    **dict.fromkeys(_BACKCHAIN, BackchainError),
    **{f"notary-{kind}": NotaryError for kind in _NOTARY_KINDS},
}


class HostApi:
    """The host's functions, JSON values in and out."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def call(self, interface: str, function: str, request: object) -> object:
        """Call one host function.

        Raises:
            CordaRuntimeError: the host answered an error.
        """
        try:
            answer = self._host(interface, function, dumps(request))
        except HostCallError as exc:
            error = json.loads(exc.payload)
            cls, reason = _CLASSES.get(error["code"], CordaRuntimeError), error.get("reasonCode")
            raise cls(error["code"], error["message"], reason_code=reason) from None
        return json.loads(answer)
