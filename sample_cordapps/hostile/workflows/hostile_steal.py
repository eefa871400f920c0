"""Attempts to use what was not granted, and to read what belongs to other nodes."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hostile_common import AttemptFailedError, NoInput

from cordapp.contracts import PublicKey, StateRef
from cordapp.flows import ClientStartableFlow, CordaRuntimeError, FlowSession, entity
from cordapp.schema import dumps


@entity(key="id")
@dataclass(frozen=True)
class Loot:
    """An entity of this CorDapp, so that the persistence service answers at all."""

    id: str
    content: str


@dataclass(frozen=True)
class Victim:
    """Whose data is wanted; the client that starts the attempt knows these."""

    x500_name: str = "O=Alice, L=London, C=GB"
    short_hash: str = "000000000000"
    transaction_id: str = "SHA-256D:" + "0" * 64
    key: str = "1"


@dataclass(frozen=True)
class Session:
    """The session of a flow that runs elsewhere."""

    id: str = "00000000-0000-4000-8000-000000000001"


class CallUngranted(ClientStartableFlow[NoInput, str]):
    """Signs with a key; `signing` is not granted. Must end the run: `capability-not-granted`."""

    def call(self, _request: NoInput) -> str:
        return self.signing_service.sign(b"all my money", PublicKey("")).hex()


class CallUngrantedAndGoOn(ClientStartableFlow[NoInput, str]):
    """The same, but catches every exception. Must end the run: a refusal cannot be caught."""

    def call(self, _request: NoInput) -> str:
        with suppress(BaseException):
            self.signing_service.find_my_signing_keys([])
        return "still here"


class CallUnknownFunction(ClientStartableFlow[NoInput, str]):
    """Calls a host function that is in no world. The runtime must refuse it."""

    def call(self, _request: NoInput) -> str:
        return str(_call(self, "host", "shutdown", {}))


class ReadOthersEntities(ClientStartableFlow[Victim, str]):
    """Forges whose storage it reads, by extra fields and by tricky keys.

    The host takes the identity from the flow, never from the request: nothing must be found.
    """

    def call(self, request_body: Victim) -> str:
        forged: dict[str, object] = {
            "holdingIdentity": {"x500Name": request_body.x500_name},
            "virtualNode": request_body.short_hash,
            "tenant": request_body.short_hash,
        }
        keys = [
            request_body.key,
            f"../{request_body.short_hash}/vault.sqlite",
            f"../../vnodes/{request_body.short_hash}/vault.sqlite\x00",
            "' OR '1'='1",
            "%",
        ]
        found = [self._find(key, extra) for key in keys for extra in (forged, {})]
        if not any(found):
            raise AttemptFailedError(f"no entity of {request_body.x500_name} was found")
        return dumps(found)

    def _find(self, key: str, extra: dict[str, object]) -> Any:
        kind = f"{Loot.__module__}.{Loot.__qualname__}"
        query = {"op": "find", "type": kind, "keys": [key], **extra}
        try:
            return _call(self, "persistence", "read", query)[0]
        except CordaRuntimeError as refused:
            self.log.info("refused: %s", refused.message)
            return None


class ReadOthersTypes(ClientStartableFlow[Victim, str]):
    """Reads an entity type of another CorDapp: `entity-type-unknown`."""

    def call(self, _request: Victim) -> str:
        query = {"op": "find-all", "type": "iou_flows.CreditLimit", "offset": 0, "limit": 1000}
        return dumps(_call(self, "persistence", "read", query))


class ReadOthersTransaction(ClientStartableFlow[Victim, str]):
    """Asks for a transaction between other nodes by its id. The vault must not hold it."""

    def call(self, request_body: Victim) -> str:
        found = self.ledger_service.find_signed_transaction(request_body.transaction_id)
        if found is None:
            raise AttemptFailedError(f"{request_body.transaction_id} was not found")
        return found.id


class ReadOthersState(ClientStartableFlow[Victim, str]):
    """Asks for the output of a transaction between other nodes: `state-not-found`."""

    def call(self, request_body: Victim) -> str:
        ref = StateRef(request_body.transaction_id, 0)
        return str(self.ledger_service.resolve(ref))


class UseOthersSession(ClientStartableFlow[Session, str]):
    """Listens on the session of another flow. A flow has its own sessions only."""

    def call(self, request_body: Session) -> str:
        api = self.flow_messaging._api  # noqa: SLF001  # hostile on purpose
        return dumps(FlowSession(api, request_body.id, "").receive(object))


class OpenSessionWithoutProtocol(ClientStartableFlow[Victim, str]):
    """Opens a session although the flow initiates nothing: `session-no-protocol`."""

    def call(self, request_body: Victim) -> str:
        return self.flow_messaging.initiate_flow(request_body.x500_name).id


def _call(flow: Any, interface: str, function: str, request: object) -> Any:
    return flow.flow_engine._api.call(interface, function, request)  # noqa: SLF001  # hostile
