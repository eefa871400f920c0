"""Signatures of transactions by a node's own keys."""

from collections.abc import Sequence

from host.domain.instants import instant_text
from host.ledger.core.metadata import signing_properties
from host.ledger.core.signed import Signature, signable
from host.ports.capability import CallContext
from host.ports.keys import FLOW_CATEGORIES, KeyStore
from host.ports.public_keys import PublicKeys


def sign(
    keys: KeyStore,
    public_keys: PublicKeys,
    context: CallContext,
    transaction_id: str,
    signatories: Sequence[str],
) -> tuple[Signature, ...]:
    """Sign a transaction with those keys of `signatories` that are the calling node's."""
    tenant = context.holding.short_hash
    properties = tuple(sorted(signing_properties(context.cpi).items()))
    signatures = []
    for key in keys.find_mine(tenant, list(signatories), FLOW_CATEGORIES):
        draft = Signature(
            by=public_keys.key_id(key),
            key=key,
            signature=b"",
            timestamp=instant_text(context.now),
            spec=public_keys.default_spec(key),
            properties=properties,
        )
        data = signable(transaction_id, draft.metadata())
        signatures.append(
            draft.with_bytes(keys.sign(tenant, key, data, draft.spec, FLOW_CATEGORIES))
        )
    return tuple(signatures)
