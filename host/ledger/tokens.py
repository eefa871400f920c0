"""`ledger.record` of the operation `claim-tokens`, and `ledger.query` of `token-balance`."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from decimal import Decimal

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs
from host.domain.json import JsonObject, JsonValue
from host.domain.linear_pattern import linear_pattern
from host.ledger.core.amounts import AmountInvalidError, amount_of, plain
from host.ledger.core.selection import TOKENS_MAX, Candidate, ClaimTooLargeError, select_tokens
from host.ledger.events import LedgerEvents, TokensClaimed, untold
from host.ledger.vault import tokens
from host.ledger.vault.tokens import Criteria, Strategy, spread_of
from host.ports.capability import CallContext
from host.ports.requests import check_fields, take_text, take_text_or_null
from host.ports.vaults import VaultAccess
from host.vault.idempotency import count_effect, find_answer, refuse_ended, remember_answer

CLAIM_MS = 600_000
"""How long a claim lasts at most: Corda's default of `tokens.claimTimeoutSeconds`."""
_CRITERIA = ("op", "tokenType", "issuerHash", "notary", "symbol", "tagRegex", "ownerHash")
_CHARACTERS_MAX = 1024
_PATTERN_WEIGHT_MAX = 10_000


class TokenClaims:
    """Claims and balances of tokens. Thread-safe."""

    def __init__(
        self,
        vaults: VaultAccess,
        claim_ms: Callable[[], int] = lambda: CLAIM_MS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        events: LedgerEvents = untold,
    ) -> None:
        self._vaults = vaults
        self._claim_ms = claim_ms
        self._monotonic = monotonic
        self._events = events

    def claim(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Reserve tokens until the flow ends; null if there are not enough.

        Raises:
            CapabilityError: `request-invalid`, `token-criteria-invalid`, `token-claim-too-large`.
        """
        check_fields(request, (*_CRITERIA, "dedupId", "targetAmount", "strategy"))
        criteria = _criteria(request)
        target = _target(request)
        strategy = _strategy(request)
        dedup_id = take_text_or_null(request, "dedupId", characters_max=100)
        request_id = (
            f"call:{context.request_id}"
            if dedup_id is None
            else f"dedup:{context.flow_id}-{dedup_id}"
        )

        def claim(connection: Connection) -> JsonValue:
            refuse_ended(connection, context.flow_id)
            known = find_answer(connection, request_id, request)
            if known is not None:
                count_effect(connection)
                answered: JsonValue = json.loads(known)
                return answered
            answer = self._claimed(
                connection, criteria, strategy, target, request_id=request_id, context=context
            )
            remember_answer(connection, request_id, request, answer, context.now)
            return answer

        begun = self._monotonic()
        found = self._vaults.transact(context.holding.short_hash, claim)
        seconds = self._monotonic() - begun
        self._events(TokensClaimed("not-enough" if found is None else "claimed", seconds))
        return found

    def _claimed(
        self,
        connection: Connection,
        criteria: Criteria,
        strategy: Strategy,
        target: Decimal,
        *,
        request_id: str,
        context: CallContext,
    ) -> JsonValue:
        """Claim tokens for `target`; null if there are not enough."""
        pool = tokens.find_pool(connection, criteria)
        if pool is None:
            return None
        tokens.release_expired(connection, pool, context.now)
        begin = spread_of(request_id)
        with closing(tokens.candidates(connection, pool, criteria, strategy, begin)) as found:
            taken = _selected(found, target)
        if taken is None:
            return None
        number = tokens.claim(
            connection,
            pool,
            taken,
            request_id=request_id,
            flow_id=context.flow_id,
            expires_at=EpochMs(context.now + self._claim_ms()),
        )
        return {"claim": str(number), "tokens": [_shown(each) for each in taken]}

    def balance(self, context: CallContext, request: JsonObject) -> JsonValue:
        """`{"available", "total"}`, decimal texts: without what is claimed, and all."""
        check_fields(request, _CRITERIA)
        criteria = _criteria(request)
        with self._vaults.read(context.holding.short_hash) as connection:
            available, total = tokens.balance(connection, criteria, context.now)
        return {"available": plain(available), "total": plain(total)}


def _selected(found: Iterable[Candidate], target: Decimal) -> Sequence[Candidate] | None:
    try:
        return select_tokens(found, target)
    except ClaimTooLargeError:
        raise CapabilityError(
            "token-claim-too-large",
            f"the amount needs more than {TOKENS_MAX} tokens; merge some of them first",
        ) from None


def _target(request: JsonObject) -> Decimal:
    try:
        return amount_of(take_text(request, "targetAmount", characters_max=80))
    except AmountInvalidError as exc:
        raise CapabilityError("token-criteria-invalid", f"'targetAmount': {exc}") from exc


def _strategy(request: JsonObject) -> Strategy:
    name = take_text_or_null(request, "strategy", characters_max=16) or Strategy.RANDOM
    if name not in list(Strategy):
        known = ", ".join(Strategy)
        raise CapabilityError("token-criteria-invalid", f"'strategy' must be one of {known}")
    return Strategy(name)


def _shown(token: Candidate) -> JsonObject:
    return {
        "stateRef": str(token.ref),
        "amount": plain(token.amount),
        "tag": token.tag,
        "ownerHash": token.owner_hash,
        "priority": token.priority,
    }


def _criteria(request: JsonObject) -> Criteria:
    pattern = take_text_or_null(request, "tagRegex", characters_max=_CHARACTERS_MAX)
    return Criteria(
        token_type=take_text(request, "tokenType", characters_max=_CHARACTERS_MAX),
        issuer_hash=take_text(request, "issuerHash", characters_max=_CHARACTERS_MAX),
        notary=take_text_or_null(request, "notary", characters_max=_CHARACTERS_MAX) or "",
        symbol=take_text(request, "symbol", characters_max=_CHARACTERS_MAX),
        owner_hash=take_text_or_null(request, "ownerHash", characters_max=_CHARACTERS_MAX),
        has_tag=None if pattern is None else _tag_test(pattern),
    )


def _tag_test(pattern: str) -> Callable[[str], bool]:
    compiled = linear_pattern(pattern)
    if compiled is None or compiled.weight > _PATTERN_WEIGHT_MAX:
        raise CapabilityError(
            "token-criteria-invalid",
            f"'tagRegex' is no regular expression of linear time, or too large: {pattern[:80]!r}",
        )
    return compiled.occurs_in
