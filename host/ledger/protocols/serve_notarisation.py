"""A notary's node serves one request of a client, on the session that its flow has accepted.

Source: corda-runtime-os `NonValidatingNotaryServerFlowImpl.kt`.
"""

from collections.abc import Generator

import msgspec
from msgspec import Struct

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import ServedNotarisation
from host.ledger.protocols.steps import counterparties, read_request, receive_from
from host.ports.programs import Call, Operation, Send


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session: str


def serve_notarisation(request: JsonObject) -> Generator[Operation, JsonValue, JsonValue]:
    """Receive a request, decide, and send the answer. Perform `ledger.record serve-notarisation`.

    Returns:
        `{"id": .., "result": "accepted" | "rejected", "error": kind or null}`; `id` is null if the
        request names no transaction.

    Raises:
        CapabilityError: `capability-not-granted`, this node is no notary; or the session's error.
    """
    session = read_request(request, _Request).session
    yield Call("check-notary", {})
    (client,) = yield from counterparties((session,))
    into = Call("notarise", {"client": client})
    served = msgspec.convert((yield from receive_from(session, into=into)), ServedNotarisation)
    yield Send(session, served.answer)
    result = "accepted" if served.kind is None else "rejected"
    return {"id": served.id, "result": result, "error": served.kind}
