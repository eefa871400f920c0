"""Refusals of the ledger: those that are capability errors are answers to guests."""

from host.domain.capability_error import CapabilityError
from host.domain.errors import ConflictError, InvalidInputError


class TransactionIdInvalidError(InvalidInputError):
    """The text is not the identifier of a transaction."""

    code = "transaction-id-invalid"


class TransactionNotRepairableError(ConflictError):
    """No notary can be asked what came of the transaction, or its answer is known."""

    code = "transaction-not-repairable"


class TransactionInvalidError(CapabilityError):
    """A structural rule is broken. `rule` is the rule's stable identifier."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__("transaction-invalid", f"{rule}: {message}")
        self.rule = rule


class PlatformVersionNewerError(TransactionInvalidError):
    """The rules of the transaction are those of a newer platform version: no verdict here."""

    def __init__(self, message: str) -> None:
        super().__init__("metadata-invalid", message)


class SignatureInvalidError(CapabilityError):
    """A signature is wrong, repeated, or by a key that may not sign the transaction."""

    def __init__(self, message: str) -> None:
        super().__init__("signature-invalid", message)


class SignatureMissingError(CapabilityError):
    """A signatory has not signed, or this node holds no key to sign with."""

    def __init__(self, message: str) -> None:
        super().__init__("signature-missing", message)


class StateNotFoundError(CapabilityError):
    """The state is not in this node's vault."""

    def __init__(self, message: str) -> None:
        super().__init__("state-not-found", message)


class StateConsumedError(CapabilityError):
    """Another transaction has consumed the state."""

    def __init__(self, message: str) -> None:
        super().__init__("state-consumed", message)


class ContractRefusedError(CapabilityError):
    """A contract refuses the transaction; message and reason code are the contract's own."""

    def __init__(self, message: str, reason_code: str | None = None) -> None:
        super().__init__("contract-verification-failed", message, reason_code=reason_code)


class ContractUndecidedError(CapabilityError):
    """A contract reached no verdict: a limit, a trap or missing code ended its run."""

    def __init__(self, message: str) -> None:
        super().__init__("contract-undecided", message)


class CpkUnknownError(CapabilityError):
    """The transaction was made with contract code that this node does not have or not run."""

    def __init__(self, message: str) -> None:
        super().__init__("cpk-unknown", message)


class GroupParametersNotCurrentError(CapabilityError):
    """The transaction names group parameters that are not the current ones."""

    def __init__(self, message: str) -> None:
        super().__init__("group-parameters-not-current", message)


class StatesTooLargeError(CapabilityError):
    """The requested states are too large for one call."""

    def __init__(self, message: str) -> None:
        super().__init__("states-too-large", message)


class FilteredInvalidError(CapabilityError):
    """A filtered transaction is not what its identifier commits to, or lacks what is needed."""

    def __init__(self, message: str) -> None:
        super().__init__("filtered-invalid", message)


class NotaryRequiredError(CapabilityError):
    """The transaction names a notary that has not signed it, so it is not final."""

    def __init__(self, message: str) -> None:
        super().__init__("notary-required", message)


class NotarySignatureInvalidError(CapabilityError):
    """A signature by the key of the transaction's notary is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__("notary-signature-invalid", message)


class NotaryDistrustedError(CapabilityError):
    """The notary's key is distrusted on this host, and the node did not know this in time."""

    def __init__(self, message: str) -> None:
        super().__init__("notary-distrusted", message)


class TransactionIsInvalidError(CapabilityError):
    """This node knows the transaction as invalid: it broke a rule, or a contract refused it."""

    def __init__(self, message: str) -> None:
        super().__init__("transaction-is-invalid", message)


class LedgerMismatchError(CapabilityError):
    """A transaction of one ledger stands where only one of the other ledger may."""

    def __init__(self, transaction_id: str, expected: str) -> None:
        super().__init__(
            "ledger-mismatch",
            f"transaction {transaction_id} is not one of the {expected} ledger",
        )
