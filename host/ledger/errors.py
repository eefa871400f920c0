"""Refusals of the ledger, as the guest sees them."""

from host.domain.capability_error import CapabilityError


class TransactionInvalidError(CapabilityError):
    """A structural rule is broken. `rule` is the rule's stable identifier."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__("transaction-invalid", f"{rule}: {message}")
        self.rule = rule


class SignatureInvalidError(CapabilityError):
    """A signature is not what it says it is."""

    def __init__(self, message: str) -> None:
        super().__init__("signature-invalid", message)


class SignatureMissingError(CapabilityError):
    """A signatory has not signed, or this node holds no key to sign with."""

    def __init__(self, message: str) -> None:
        super().__init__("signature-missing", message)


class StateNotFoundError(CapabilityError):
    """This node's vault does not know the state."""

    def __init__(self, message: str) -> None:
        super().__init__("state-not-found", message)


class StateConsumedError(CapabilityError):
    """Another transaction has consumed the state."""

    def __init__(self, message: str) -> None:
        super().__init__("state-consumed", message)


class ContractRefusedError(CapabilityError):
    """A contract refuses the transaction; the message is the contract's."""

    def __init__(self, message: str) -> None:
        super().__init__("contract-verification-failed", message)


class ContractUndecidedError(CapabilityError):
    """A contract came to no verdict: its run was ended by a limit, a trap or for want of code."""

    def __init__(self, message: str) -> None:
        super().__init__("contract-undecided", message)


class CpkUnknownError(CapabilityError):
    """The transaction was made with contract code that this node does not run."""

    def __init__(self, message: str) -> None:
        super().__init__("cpk-unknown", message)


class StatesTooLargeError(CapabilityError):
    """The states asked for are too large for one call."""

    def __init__(self, message: str) -> None:
        super().__init__("states-too-large", message)
