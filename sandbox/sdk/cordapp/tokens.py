"""Tokens: states that packages declare as such (`cordapp.vault.token_observer`), by amount."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from cordapp.contracts import StateRef
from cordapp.schema import from_json
from cordapp.services import Service


class Strategy(Enum):
    """In which order tokens are claimed: at random, or by priority, those without one last."""

    RANDOM = "RANDOM"
    PRIORITY = "PRIORITY"


@dataclass(frozen=True, kw_only=True)
class TokenBalanceCriteria:
    """Which tokens are meant.

    Attributes:
        token_type: by default the name of the state's class.
        issuer_hash: of who issued them (`cordapp.vault.secure_hash`).
        symbol: what they count.
        notary: X.500 name of the service of their transactions; None in a group without one.
        tag_regex: occurs in their tag: a pattern without look-around and back references.
        owner_hash: theirs.
    """

    token_type: str
    issuer_hash: str
    symbol: str
    notary: str | None = None
    tag_regex: str | None = None
    owner_hash: str | None = None

    def to_request(self, op: str) -> dict[str, object]:
        """The host's request."""
        return {
            "op": op,
            "tokenType": self.token_type,
            "issuerHash": self.issuer_hash,
            "notary": self.notary,
            "symbol": self.symbol,
            "tagRegex": self.tag_regex,
            "ownerHash": self.owner_hash,
        }


@dataclass(frozen=True, kw_only=True)
class TokenClaimCriteria(TokenBalanceCriteria):
    """Which tokens to claim, and how much of them at least."""

    target_amount: Decimal
    strategy: Strategy = Strategy.RANDOM


@dataclass(frozen=True)
class ClaimedToken:
    """A token that the flow has claimed."""

    state_ref: StateRef = field(metadata={"json": "stateRef"})
    amount: Decimal
    tag: str | None
    owner_hash: str | None = field(metadata={"json": "ownerHash"})
    priority: int | None


@dataclass(frozen=True)
class TokenClaim:
    """Tokens that no other flow of the node can claim until this one has ended."""

    claimed_tokens: list[ClaimedToken]


@dataclass(frozen=True)
class TokenBalance:
    """The sum of tokens: without those that flows have claimed, and all."""

    available_balance: Decimal
    total_balance: Decimal


class TokenSelection(Service):
    """Claims tokens of this node's vault."""

    def try_claim(
        self, criteria: TokenClaimCriteria, *, dedup_id: str | None = None
    ) -> TokenClaim | None:
        """Claim tokens whose sum reaches the target; None if there are not enough.

        The claim ends with the flow, or after ten minutes, and consumed tokens leave it.

        Raises:
            CordaRuntimeError: `token-criteria-invalid`, or `token-claim-too-large`: more than
                1,000 tokens would be needed.
        """
        request = {
            **criteria.to_request("claim-tokens"),
            "dedupId": dedup_id,
            "targetAmount": format(criteria.target_amount, "f"),
            "strategy": criteria.strategy.value,
        }
        answer = self._call("ledger", "record", request)
        if answer is None:
            return None
        claimed: list[ClaimedToken] = from_json(list[ClaimedToken], answer["tokens"])
        return TokenClaim(claimed)

    def query_balance(self, criteria: TokenBalanceCriteria) -> TokenBalance:
        """The balance of these tokens."""
        answer = self._call("ledger", "query", criteria.to_request("token-balance"))
        return TokenBalance(Decimal(answer["available"]), Decimal(answer["total"]))
