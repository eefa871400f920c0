"""Sections of our own about the ledger. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from host.settings.errors import SettingsInvalidError

_DISTRUSTED_KEY = r"^[0-9A-F]{12}@[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"


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
    repair_first_seconds: Annotated[
        int,
        Meta(
            ge=10,
            le=86_400,
            description="Seconds after which the notary is asked what came of a transaction that"
            " its flow left undecided; then again after 1, 6 and each 24 hours.",
        ),
    ] = 600
    repair_until_seconds: Annotated[
        int,
        Meta(
            ge=3_600,
            le=31_536_000,
            description="Seconds after the end of a transaction's time window in which its notary"
            " is still asked.",
        ),
    ] = 432_000
    token_claim_timeout_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds after which a claim on tokens ends, if its flow has not ended.",
        ),
    ] = 600
    distrusted_notary_keys: Annotated[
        tuple[Annotated[str, Meta(pattern=_DISTRUSTED_KEY, max_length=33)], ...],
        Meta(
            max_length=100,
            description="Notaries' keys that were given away, each as `KEYID@CUTOFF`, such as"
            " `0A1B2C3D4E5F@2026-11-21T05:00:00Z`: what such a key has signed counts only at nodes"
            " that recorded it before that instant.",
        ),
    ] = ()

    def __post_init__(self) -> None:
        seen = set()
        for entry in self.distrusted_notary_keys:
            key, _, cut_off = entry.partition("@")
            try:
                datetime.fromisoformat(cut_off)
            except ValueError as exc:
                raise SettingsInvalidError(
                    f"distrusted_notary_keys: {cut_off} of key {key} is no instant"
                ) from exc
            if key in seen:
                raise SettingsInvalidError(f"distrusted_notary_keys: key {key} is there twice")
            seen.add(key)
