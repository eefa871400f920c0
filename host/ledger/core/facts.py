"""What a node keeps of an output that concerns it, beside the state itself."""

from collections.abc import Collection
from dataclasses import dataclass

from host.domain.json import canonical_json
from host.ledger.core.model import Ledger, State, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """A fungible state; `amount` is decimal text. Source: corda-api `UtxoToken.java`."""

    token_type: str
    issuer_hash: str
    notary: str
    symbol: str
    amount: str
    tag: str | None = None
    owner_hash: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFacts:
    """An output of a transaction that concerns a node.

    Attributes:
        index: of the output.
        representation: the JSON text that queries read: an object by type names (Corda's
            `custom_representation`).
        token: of a fungible state.
    """

    index: int
    representation: str
    token: TokenFacts | None = None


def default_facts(content: Transaction, mine: Collection[str]) -> tuple[OutputFacts, ...]:
    """Of the outputs that have a participant's key in `mine`; their value is shown by its type.

    States of the consensual ledger are not among a vault's: nobody consumes them.
    """
    if content.ledger is Ledger.CONSENSUAL:
        return ()
    return tuple(
        OutputFacts(index=index, representation=shown_by_type(state))
        for index, state in enumerate(content.outputs)
        if not set(mine).isdisjoint(state.participants)
    )


def shown_by_type(state: State) -> str:
    """What queries see of a state whose package has no function for it: its value, by its type."""
    return canonical_json({state.type: state.value}).decode()
