"""Judges transactions: the only place where one is found right or wrong.

A transaction is judged by the group parameters and the contract CPKs that its metadata names, as
they were at its time. What its identifier commits to is judged once and for all; what it does not
commit to (signatures, states that are not here, code that is not here) leaves it undecided.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from host.domain.call_time import call_time_paused
from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError
from host.domain.flow import specific_code
from host.domain.guest_text import cut_message
from host.domain.ids import Checksum, HoldingIdentity, ShortHash
from host.domain.membership import GroupParameters
from host.domain.packages import CodeWorld, CpiRecord, CpkOfCpi, contracts_of
from host.ledger.core.consensual import check_consensual, read_content
from host.ledger.core.digests import ACCEPTED, Verification, verification_of
from host.ledger.core.metadata import NamedCpk, check_metadata, named_cpks, parameters_hash
from host.ledger.core.model import Ledger, Resolved, StateAndRef, Transaction
from host.ledger.core.rules import (
    LEDGER_TRANSACTION,
    check_canonical_keys,
    check_content,
    check_declared,
    check_resolved,
)
from host.ledger.core.signed import (
    SignedTransaction,
    check_complete,
    check_notarised,
    check_signatures,
)
from host.ledger.core.statuses import Reason
from host.ledger.errors import (
    ContractRefusedError,
    ContractUndecidedError,
    CpkUnknownError,
    GroupParametersNotCurrentError,
    LedgerMismatchError,
    PlatformVersionNewerError,
    SignatureMissingError,
    TransactionInvalidError,
)
from host.ledger.trust import Distrusted, NotaryTrust, nobody
from host.ledger.vault import outputs
from host.ledger.verdicts import Verdicts
from host.ports.directory import UNDECIDED, ContractVerifier, Cpks, Members
from host.ports.public_keys import PublicKeys
from host.ports.vaults import VaultAccess


class Purpose(Enum):
    """What a transaction is judged for.

    `NEW`: it is to be made final now, by this node or by the counterparty that proposes it: its
    group parameters are the current ones. `RECEIVED`: a flow was given it, and signs or records it.
    Both run the contract CPKs of the node's own CPI only: an older version of them could allow what
    a later one forbids. `CHAIN`: another transaction depends on it, and it is final: its notary and
    all signatories have signed it, and CPKs of the lineage of the node's own are run.
    `NOTARISE`: a notary is to sign it; all signatories have.
    """

    NEW = "new"
    RECEIVED = "received"
    CHAIN = "chain"
    NOTARISE = "notarise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A transaction of which all is right but, perhaps, its states and contracts.

    Attributes:
        content: of its component groups.
        parameters: the group parameters that it names.
        cpks: the contract CPKs that it names.
    """

    content: Transaction
    parameters: GroupParameters
    cpks: tuple[CpkOfCpi, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A transaction that is right. `verifications` are those of contracts that ran."""

    signed: SignedTransaction
    content: Transaction
    parameters: GroupParameters
    resolved: Resolved
    verifications: tuple[Verification, ...]


def reason_of(error: CapabilityError) -> Reason | None:
    """Why a transaction is invalid for ever; None if its identifier does not commit to it."""
    if isinstance(error, PlatformVersionNewerError):
        return None
    if isinstance(error, TransactionInvalidError):
        return Reason.STRUCTURE
    return Reason.CONTRACT if isinstance(error, ContractRefusedError) else None


class Examiner:
    """Judges transactions for the nodes of a host. Thread-safe.

    Attributes:
        trust: whose notarisations count. All purposes ask it about the transaction's own notary,
            and all but `NOTARISE` about those of its inputs and references: a notary's register,
            not its vault, tells which transactions it has seen.
    """

    def __init__(
        self,
        *,
        vaults: VaultAccess,
        public_keys: PublicKeys,
        members: Members,
        cpks: Cpks,
        contracts: ContractVerifier,
        distrusted: Callable[[], Distrusted] = nobody,
    ) -> None:
        self.trust = NotaryTrust(vaults=vaults, public_keys=public_keys, distrusted=distrusted)
        self._vaults = vaults
        self._public_keys = public_keys
        self._members = members
        self._cpks = cpks
        self._contracts = contracts
        self._verdicts = Verdicts()

    def check(
        self,
        holding: HoldingIdentity,
        cpi: CpiRecord,
        signed: SignedTransaction,
        *,
        purpose: Purpose,
    ) -> Checked:
        """Check everything but states and contracts.

        Args:
            holding: the node that judges.
            cpi: the node's own.
            signed: the transaction; its identifier is right.
            purpose: what it is judged for.

        Raises:
            CapabilityError: `transaction-invalid`, `signature-invalid`, `signature-missing`,
                `cpk-unknown`, `group-parameters-not-current`, `notary-distrusted`; for `CHAIN`
                `notary-required` and `notary-signature-invalid`; for `CHAIN` and `NOTARISE`
                `ledger-mismatch`, a consensual transaction. `reason_of` tells whether it is
                invalid for ever.
            GroupParametersUnknownError: the parameters that it names are not stored.
        """
        content = read_content(signed.groups)
        if content.ledger is Ledger.CONSENSUAL and purpose in (Purpose.CHAIN, Purpose.NOTARISE):
            raise LedgerMismatchError(signed.id, Ledger.UTXO.shown)
        check_metadata(content.metadata, content.ledger)
        parameters = self._parameters(holding, parameters_hash(content.metadata), purpose)
        if content.ledger is Ledger.CONSENSUAL:
            check_consensual(content)
        else:
            check_content(content, subject=LEDGER_TRANSACTION, notaries=parameters.notaries)
        self._check_keys(content)
        cpks = tuple(self._cpk(cpi, each, purpose) for each in named_cpks(content.metadata))
        check_declared(content, [each.cpk for each in cpks])
        check_signatures(signed, content, self._public_keys)
        if purpose is Purpose.NEW and not signed.signatures:
            raise SignatureMissingError(f"transaction {signed.id} has no signature")
        if purpose in (Purpose.CHAIN, Purpose.NOTARISE):
            check_complete(signed, content, self._public_keys)
        if purpose is Purpose.CHAIN:
            check_notarised(signed, content, self._public_keys)
        self.trust.check(holding.short_hash, signed.id, content.notary)
        return Checked(content=content, parameters=parameters, cpks=cpks)

    def examine(
        self,
        holding: HoldingIdentity,
        cpi: CpiRecord,
        signed: SignedTransaction,
        *,
        purpose: Purpose,
        states: tuple[Sequence[StateAndRef], Sequence[StateAndRef]] | None = None,
    ) -> Examined:
        """Check everything: as `check`, then states and contracts.

        Args:
            holding: the node that judges.
            cpi: the node's own.
            signed: the transaction; its identifier is right.
            purpose: what it is judged for.
            states: the inputs and references, proved by the caller; None: those of the node's
                vault.

        Raises:
            CapabilityError: as `check`, and `state-not-found`, `states-too-large`,
                `contract-verification-failed`, `contract-undecided`; in a group without a notary
                `state-consumed`.
            GroupParametersUnknownError: as `check`.
            StorageError, UnavailableError: code or vault cannot be read; there is no verdict.
        """
        checked = self.check(holding, cpi, signed, purpose=purpose)
        return self.judge(holding, signed, checked, purpose=purpose, states=states)

    def judge(
        self,
        holding: HoldingIdentity,
        signed: SignedTransaction,
        checked: Checked,
        *,
        purpose: Purpose,
        states: tuple[Sequence[StateAndRef], Sequence[StateAndRef]] | None = None,
        parameters: Sequence[str] = (),
    ) -> Examined:
        """What `examine` does after `check`.

        Args:
            holding: the node that judges.
            signed: the transaction.
            checked: what `check` has found of it.
            purpose: what it is judged for.
            states: as for `examine`.
            parameters: hashes of the group parameters of the given `states`' transactions.
        """
        resolved, hashes = self._resolved(holding, signed, checked, states)
        if purpose is Purpose.CHAIN:
            self._check_epochs(holding, checked.parameters, hashes or parameters)
        check_resolved(resolved)
        if purpose is not Purpose.NOTARISE:
            named = (*resolved.inputs, *resolved.references)
            self.trust.check_states(holding.short_hash, named)
        return Examined(
            signed=signed,
            content=checked.content,
            parameters=checked.parameters,
            resolved=resolved,
            verifications=self._verify(holding.short_hash, resolved, checked.cpks),
        )

    def _parameters(
        self, holding: HoldingIdentity, named: str, purpose: Purpose
    ) -> GroupParameters:
        # The parameters of its time: later added or removed notaries do not change the verdict.
        found = self._members.parameters(holding, named)
        if purpose is Purpose.NEW:
            current = self._members.parameters(holding).hash
            if named != current:
                raise GroupParametersNotCurrentError(
                    f"the transaction names group parameters {named}, expected the current ones"
                    f" {current}"
                )
        return found.parameters

    def _check_keys(self, content: Transaction) -> None:
        try:
            check_canonical_keys(content, self._public_keys)
        except InvalidInputError as refused:
            raise TransactionInvalidError("key-malformed", refused.message) from refused

    def _cpk(self, cpi: CpiRecord, named: NamedCpk, purpose: Purpose) -> CpkOfCpi:
        own = contracts_of(cpi)
        found = next((e for e in own if e.cpk.file_checksum == named.file_checksum), None)
        if found is None and purpose is Purpose.CHAIN:
            lineages = {_lineage(each) for each in own}
            found = self._cpks.find_cpk(named.file_checksum)
            if found is not None and _lineage(found) not in lineages:
                raise CpkUnknownError(
                    f"{_text(named)} is stored here, but is no version of a contract CPK of this"
                    f" node's CPI {cpi.identity.name} {cpi.identity.version}: it is not run"
                )
        if (
            found is None
            or found.cpk.world is not CodeWorld.CONTRACT
            or found.cpk.identity != named.identity
        ):
            raise CpkUnknownError(
                f"the transaction names contract CPK {_text(named)}, which CPI"
                f" {cpi.identity.name} {cpi.identity.version} of this node does not have;"
                f" upload a CPI with CPK {named.file_checksum[:80]}"
            )
        return found

    def _resolved(
        self,
        holding: HoldingIdentity,
        signed: SignedTransaction,
        checked: Checked,
        states: tuple[Sequence[StateAndRef], Sequence[StateAndRef]] | None,
    ) -> tuple[Resolved, Sequence[str]]:
        content = checked.content
        hashes: Sequence[str] = ()
        if states is not None:
            inputs, references = states
        else:
            refs = (*content.inputs, *content.references)
            with self._vaults.read(holding.short_hash) as connection:
                found = outputs.find(connection, refs)
                if content.notary is None:
                    outputs.check_unconsumed(connection, refs, by=signed.id)
                hashes = outputs.parameters_hashes(connection, refs)
            inputs, references = found[: len(content.inputs)], found[len(content.inputs) :]
        resolved = Resolved(
            id=signed.id,
            transaction=content,
            inputs=tuple(inputs),
            references=tuple(references),
        )
        return resolved, hashes

    def _check_epochs(
        self, holding: HoldingIdentity, parameters: GroupParameters, hashes: Sequence[str]
    ) -> None:
        """Along a chain, epochs of group parameters never fall."""
        for named in hashes:
            epoch = self._members.parameters(holding, named).parameters.epoch
            if epoch > parameters.epoch:
                raise TransactionInvalidError(
                    "parameters-older-than-state",
                    f"the transaction names group parameters of epoch {parameters.epoch}, and"
                    f" consumes or reads a state of epoch {epoch}",
                )

    def _verify(
        self, node: ShortHash, resolved: Resolved, cpks: Sequence[CpkOfCpi]
    ) -> tuple[Verification, ...]:
        checksums = tuple(each.cpk.file_checksum for each in cpks)
        known = self._verdicts.find(node, resolved.id, checksums)
        if known is not None:
            return known
        with call_time_paused():
            judged = self._contracts.verify(cpks, resolved.to_json(), node=node)
        if judged.failures:
            message = cut_message("; ".join(str(f.get("message")) for f in judged.failures))
            # A refusal by one contract is final, even if another one reached no verdict.
            if all(f.get(UNDECIDED) is True for f in judged.failures):
                raise ContractUndecidedError(message)
            codes = (specific_code(f.get("code")) for f in judged.failures)
            raise ContractRefusedError(message, next(filter(None, codes), None))
        verifications = tuple(_accepted(judged.receipts))
        if verifications:
            self._verdicts.keep(node, resolved.id, checksums, verifications)
        return verifications


def _accepted(receipts: Sequence[tuple[Checksum, str]]) -> list[Verification]:
    found = (verification_of(checksum, receipt) for checksum, receipt in receipts)
    return [each for each in found if each is not None and each.verdict == ACCEPTED]


def _lineage(each: CpkOfCpi) -> tuple[str, str]:
    """Name and signers: those who may replace a contract CPK by another version of it."""
    identity = each.cpk.identity
    return identity.name, identity.signer_summary_hash


def _text(named: NamedCpk) -> str:
    identity = named.identity
    return f"{identity.name[:100]} {identity.version[:100]} of {identity.signer_summary_hash[:80]}"
