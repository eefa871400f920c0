"""Distrusted keys of notaries: what they have signed counts only if a vault knew it in time.

Who has a notary's private key chooses all that its signature covers: the transaction, the group
parameters that it names, the time that the signature tells. So none of them is compared. What is
compared is when this node's own vault recorded the transaction, by this host's clock.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import Connection

from host.domain.ids import EpochMs, ShortHash
from host.domain.instants import instant_text
from host.ledger.core.model import Notary, StateAndRef, StateRef
from host.ledger.errors import NotaryDistrustedError
from host.ledger.vault import filtered, transactions
from host.ports.public_keys import PublicKeys
from host.ports.vaults import VaultAccess

Distrusted: TypeAlias = Mapping[ShortHash, EpochMs]
"""Cut-offs by the ids of notaries' keys."""


def nobody() -> Distrusted:
    """No key is distrusted."""
    return {}


class NotaryTrust:
    """Whose notarisations count at the nodes of a host. Thread-safe.

    Args:
        vaults: of the nodes.
        public_keys: names the ids of keys.
        distrusted: those in force; asked at each check.
    """

    def __init__(
        self, *, vaults: VaultAccess, public_keys: PublicKeys, distrusted: Callable[[], Distrusted]
    ) -> None:
        self._vaults = vaults
        self._public_keys = public_keys
        self._distrusted = distrusted

    def trusts_all(self) -> bool:
        """Whether no key is distrusted."""
        return not self._distrusted()

    def check(self, node: ShortHash, transaction_id: str, notary: Notary | None) -> None:
        """Check that a transaction's notary is trusted, or was when the node recorded it.

        Raises:
            NotaryDistrustedError: the notary's key is distrusted, and the node's vault does not
                have the transaction as verified since before the cut-off.
        """
        cut_off = self._cut_off(notary)
        if notary is None or cut_off is None:
            return
        with self._vaults.read(node) as connection:
            at = transactions.recorded_at(connection, transaction_id)
        if at is None or at >= cut_off:
            raise self._refusal(f"transaction {transaction_id}", notary, cut_off)

    def check_states(self, node: ShortHash, states: Sequence[StateAndRef]) -> None:
        """As `check`, of the transactions that made these states.

        A state that was shown by a filtered transaction counts from when its proof was stored.

        Raises:
            NotaryDistrustedError: the first state that does not count.
        """
        doubtful = [(each, self._cut_off(each.state.notary)) for each in states]
        if all(cut_off is None for _, cut_off in doubtful):
            return
        with self._vaults.read(node) as connection:
            for each, cut_off in doubtful:
                if cut_off is None or each.state.notary is None:
                    continue
                at = _known_since(connection, each.ref)
                if at is None or at >= cut_off:
                    raise self._refusal(f"state {each.ref}", each.state.notary, cut_off)

    def _cut_off(self, notary: Notary | None) -> EpochMs | None:
        distrusted = self._distrusted()
        if notary is None or not distrusted:
            return None
        return distrusted.get(self._public_keys.key_id(notary.key))

    def _refusal(self, what: str, notary: Notary, cut_off: EpochMs) -> NotaryDistrustedError:
        return NotaryDistrustedError(
            f"{what} is of notary {notary.name}, whose key {self._public_keys.key_id(notary.key)}"
            f" is distrusted: only what this node recorded before {instant_text(cut_off)} counts"
        )


def _known_since(connection: Connection, ref: StateRef) -> EpochMs | None:
    found = transactions.recorded_at(connection, ref.transaction_id)
    return filtered.stored_at(connection, ref) if found is None else found
