"""Dependencies without a backchain: filtered transactions that show the states another one names.

A notary that does not require backchains has verified contracts itself: its signature stands for
what a backchain would prove.
Source: corda-runtime-os `UtxoFinalityFlowV1.kt`, `UtxoReceiveFinalityFlowV1.kt`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.ids import HoldingIdentity
from host.domain.membership import GroupParameters, NotaryInfo
from host.ledger.core.components import Group, from_groups
from host.ledger.core.filtered import FilteredTransaction, Selection, filter_transaction
from host.ledger.core.filtered_content import FilteredContent, filtered_content
from host.ledger.core.filtered_json import filtered_json, read_filtered
from host.ledger.core.messages import Dependency
from host.ledger.core.model import Notary, StateAndRef, StateRef, Transaction
from host.ledger.core.signed import Signature, check_signature, read_signature
from host.ledger.vault import filtered as filtered_table
from host.ledger.vault import transactions
from host.ports.directory import Members
from host.ports.public_keys import PublicKeys

_NOTARY_LEAVES = range(3)


class DependenciesMismatchError(CapabilityError):
    """What is shown of dependencies is not what the transaction names."""

    def __init__(self, message: str) -> None:
        super().__init__("dependencies-mismatch", message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A checked filtered transaction, and the signatures of its notary."""

    filtered: FilteredTransaction
    content: FilteredContent
    signatures: tuple[Signature, ...]


def needs_backchain(parameters: GroupParameters, content: Transaction) -> bool:
    """Whether who receives the transaction has to verify all that it depends on."""
    notary = _info(parameters, content.notary)
    return notary is None or notary.backchain_required


def shown_dependencies(connection: Connection, content: Transaction) -> list[Dependency]:
    """The states that a transaction names, with proofs and their notary's signatures.

    Raises:
        DependenciesMismatchError: the vault lacks one.
    """
    return [
        dependency
        for transaction_id, indexes in _indexes(content).items()
        for dependency in _shown(connection, transaction_id, indexes)
    ]


def read_dependencies(
    content: Transaction,
    dependencies: Sequence[Dependency],
    *,
    members: Members,
    holding: HoldingIdentity,
    public_keys: PublicKeys,
) -> list[Shown]:
    """Check what a counterparty shows of dependencies: exactly the states that are named.

    Raises:
        CapabilityError: `dependencies-mismatch`, `filtered-invalid`, `signature-invalid`,
            `group-parameters-unknown`, `request-invalid`.
    """
    found = [_read(each) for each in dependencies]
    shown = {StateRef(each.filtered.id, index) for each in found for index in _shown_indexes(each)}
    named = {*content.inputs, *content.references}
    if shown != named:
        differs = min(str(ref) for ref in shown ^ named)
        raise DependenciesMismatchError(
            f"the states shown are not those that the transaction names: {differs}"
        )
    for each in found:
        _check_notary(content, each, members.parameters(holding, _hash(each)).parameters)
        _check_signed(each, public_keys)
    return found


def states_of(shown: Sequence[Shown]) -> list[StateAndRef]:
    """The states that filtered transactions show."""
    return [
        StateAndRef(ref=StateRef(each.filtered.id, index), state=state)
        for each in shown
        if each.content.outputs is not None
        for index, state in (each.content.outputs.values or {}).items()
    ]


def _indexes(content: Transaction) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for ref in (*content.inputs, *content.references):
        found.setdefault(ref.transaction_id, []).append(ref.index)
    return found


def _shown(
    connection: Connection, transaction_id: str, indexes: Collection[int]
) -> list[Dependency]:
    signed = transactions.find(connection, transaction_id)
    if signed is None:
        stored = filtered_table.find(connection, transaction_id)
        if not stored:
            raise DependenciesMismatchError(
                f"transaction {transaction_id} is not verified at this node"
            )
        return [_dependency(each.filtered, each.signatures) for each in stored]
    keep: Selection = {
        Group.NOTARY: _NOTARY_LEAVES,
        Group.OUTPUTS_INFO: indexes,
        Group.OUTPUTS: indexes,
    }
    notary = from_groups(signed.groups).notary
    signatures = [each for each in signed.signatures if notary and each.key == notary.key]
    return [_dependency(filter_transaction(signed, keep), signatures)]


def _dependency(filtered: FilteredTransaction, signatures: Sequence[Signature]) -> Dependency:
    return Dependency(
        filtered=filtered_json(filtered), signatures=[each.to_json() for each in signatures]
    )


def _read(dependency: Dependency) -> Shown:
    filtered = read_filtered(dependency.filtered)
    return Shown(
        filtered=filtered,
        content=filtered_content(filtered),
        signatures=tuple(read_signature(each) for each in dependency.signatures),
    )


def _shown_indexes(shown: Shown) -> Collection[int]:
    outputs = shown.content.outputs
    return () if outputs is None or outputs.values is None else tuple(outputs.values)


def _hash(shown: Shown) -> str:
    return str(shown.content.metadata.get("membershipGroupParametersHash"))


def _check_notary(content: Transaction, shown: Shown, parameters: GroupParameters) -> None:
    notary = shown.content.notary
    if notary is None or content.notary is None or notary.name != content.notary.name:
        raise DependenciesMismatchError(
            f"{shown.filtered.id} does not show the notary of the transaction that names its states"
        )
    if _info(parameters, notary) is None:
        raise DependenciesMismatchError(
            f"{shown.filtered.id} names a notary key that its group parameters do not have"
        )


def _check_signed(shown: Shown, public_keys: PublicKeys) -> None:
    notary = shown.content.notary
    for signature in shown.signatures:
        if notary is None or signature.key != notary.key:
            raise DependenciesMismatchError(
                f"{shown.filtered.id} has a signature of another key than its notary's"
            )
        check_signature(shown.filtered.id, signature, public_keys)
    if not shown.signatures:
        raise DependenciesMismatchError(f"{shown.filtered.id} has no signature of its notary")


def _info(parameters: GroupParameters, notary: Notary | None) -> NotaryInfo | None:
    if notary is None:
        return None
    named = (notary.name, notary.key)
    return next(
        (info for info in parameters.notaries if (str(info.name), info.public_key) == named), None
    )
