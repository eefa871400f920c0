"""Release of what a flow holds in its node's vault, after a crash at the flow's end.

Source: docs of `tokens.claimTimeoutSeconds` (Corda 5 lets such claims expire).
"""

from msgspec import Struct

from host.domain.json import JsonObject, JsonValue
from host.ledger.protocols.steps import Steps, call, read_request
from host.ports.programs import Forget, SystemFlow

RELEASE = SystemFlow(name="cordbox:release-claims", program="release-claims", interface="ledger")


class ReleaseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`flow` has ended; `key` is that of the remembered release."""

    flow: str
    key: str


def release_claims(request: JsonObject) -> Steps[JsonValue]:
    """End the claims of an ended flow, and delete the answers that were kept for it."""
    wanted = read_request(request, ReleaseRequest)
    yield from call("release-claims", {"flow": wanted.flow})
    yield Forget(wanted.key)
    return None
