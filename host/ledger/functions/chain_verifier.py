"""Verifies the transactions of a backchain, parents first, many in one write."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.ledger.core.components import Groups
from host.ledger.core.facts import OutputFacts
from host.ledger.core.metadata import parameters_hash
from host.ledger.core.model import StateAndRef
from host.ledger.core.statuses import Status
from host.ledger.errors import StateConsumedError
from host.ledger.examine import Checked, Examined, Purpose
from host.ledger.functions.judged import note_refusal
from host.ledger.functions.stored import stored_transaction
from host.ledger.parts import LedgerParts
from host.ledger.vault import outputs, verifications
from host.ledger.vault.finish import finish
from host.ledger.vault.transactions import Origin
from host.ledger.vault.verifications import THIS_NODE
from host.ports.capability import CallContext

_UNDECIDED = frozenset(
    {"contract-undecided", "cpk-unknown", "group-parameters-unknown", "notary-distrusted"}
)
"""No verdict of this node: another one, or a later attempt, may come to one."""


class BackchainInvalidError(CapabilityError):
    """A transaction that another one depends on is invalid."""

    def __init__(self, message: str, reason_code: str | None = None) -> None:
        super().__init__("backchain-invalid", message, reason_code=reason_code)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A transaction that is right and not yet verified in the vault."""

    examined: Examined
    facts: tuple[OutputFacts, ...]


class ChainVerifier:
    """Judges the transactions of one call; those that are right become verified by `store`.

    A transaction may consume states of one that was judged before it.
    """

    def __init__(self, parts: LedgerParts, context: CallContext) -> None:
        self._parts = parts
        self._context = context
        self._judged: dict[str, _Judged] = {}
        self._groups: dict[str, Groups] = {}

    def judge(self, transaction_id: str) -> None:
        """Judge a transaction that the vault has; one that is verified is right.

        Raises:
            BackchainInvalidError: it is invalid.
            CapabilityError: there is no verdict.
        """
        parts, context = self._parts, self._context
        with parts.read(context) as connection:
            stored = stored_transaction(connection, transaction_id)
        if stored.status is Status.VERIFIED:
            return
        signed, purpose = stored.signed, Purpose.CHAIN
        try:
            checked = parts.examiner.check(context.holding, context.cpi, signed, purpose=purpose)
            states, parameters = self._states(checked)
            examined = parts.examiner.judge(
                context.holding,
                signed,
                checked,
                purpose=purpose,
                states=states,
                parameters=parameters,
            )
        except CapabilityError as refused:
            note_refusal(parts, context, signed, stored.origin, refused)
            if refused.code in _UNDECIDED:
                raise
            raise BackchainInvalidError(
                f"transaction {transaction_id}: {refused.message}", refused.code
            ) from refused
        is_own = stored.origin in {Origin.OWN, Origin.FINALITY}
        facts = parts.facts(context, transaction_id, examined.content) if is_own else ()
        self._judged[transaction_id] = _Judged(examined, facts)
        self._groups[transaction_id] = signed.groups

    def store(self) -> None:
        """Make the judged transactions verified."""
        judged, self._judged = list(self._judged.values()), {}
        self._groups = {}
        if not judged:
            return
        try:
            self._parts.write(self._context, lambda c: self._write(c, judged))
        except StateConsumedError:
            if len(judged) == 1:
                raise
            # One of them consumes what a verified transaction does: those before it are right.
            for each in judged:
                self._parts.write(self._context, lambda c, each=each: self._write(c, [each]))  # type: ignore[misc]  # called at once

    def _write(self, connection: Connection, judged: Sequence[_Judged]) -> None:
        for each in judged:
            examined, now = each.examined, self._context.now
            finish(
                connection,
                examined.signed,
                examined.content,
                facts=each.facts,
                origin=Origin.BACKCHAIN,
                now=now,
            )
            verified = examined.verifications
            verifications.keep(connection, examined.signed.id, THIS_NODE, verified, now=now)

    def _states(
        self, checked: Checked
    ) -> tuple[tuple[Sequence[StateAndRef], Sequence[StateAndRef]] | None, Sequence[str]]:
        """Inputs and references, and the parameters of their transactions; None: the vault's."""
        content = checked.content
        refs = (*content.inputs, *content.references)
        made = [ref.transaction_id for ref in refs if ref.transaction_id in self._judged]
        if not made:
            return None, ()
        if content.notary is None or not self._parts.examiner.trust.trusts_all():
            # The vault tells what is consumed, and when it came to know what.
            self.store()
            return None, ()
        hashes = {parameters_hash(self._judged[each].examined.content.metadata) for each in made}
        left = [ref for ref in refs if ref.transaction_id not in self._judged]
        with self._parts.read(self._context) as connection:
            found = outputs.find(connection, refs, self._groups)
            hashes.update(outputs.parameters_hashes(connection, left))
        count = len(content.inputs)
        return (found[:count], found[count:]), sorted(hashes)
