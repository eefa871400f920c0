"""Sections of our own about the ledger. Pure."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerValues:
    """Section `cordbox.ledger`: which backchains a node resolves, how a notary is asked, claims."""

    backchain_batch_size: Annotated[
        int,
        Meta(ge=1, le=10, description="Transactions of a backchain that are asked for at once."),
    ] = 10
    backchain_transactions_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Transactions of one backchain.")
    ] = 10_000
    backchain_bytes_max: Annotated[
        int,
        Meta(
            ge=1024 * 1024,
            le=16 * 1024 * 1024 * 1024,
            description="Bytes of the components of one backchain's transactions.",
        ),
    ] = 256 * 1024 * 1024
    backchain_seconds_max: Annotated[
        int,
        Meta(ge=1, le=86_400, description="Seconds in which a counterparty gives a backchain."),
    ] = 1800
    notary_attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How often a notary is asked before a transaction stays undecided.",
        ),
    ] = 10
    notary_answer_seconds: Annotated[
        int, Meta(ge=1, le=3_600, description="Seconds in which a notary answers.")
    ] = 60
    token_claim_timeout_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds after which a claim on tokens ends, if its flow has not ended.",
        ),
    ] = 600
