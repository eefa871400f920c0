"""Platform services that flows find as their attributes, apart from sessions and the ledger."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from cordapp.contracts import PublicKey
from cordapp.errors import HostApi
from cordapp.registry import ENTITIES, name_of, register
from cordapp.schema import from_json, to_json

E = TypeVar("E")
ClassT = TypeVar("ClassT", bound=type[Any])
_PAGE = 500


@dataclass(frozen=True)
class MemberInfo:
    """A member as the group sees it."""

    name: str
    status: str
    ledger_keys: list[PublicKey] = field(metadata={"json": "ledgerKeys"})
    platform_version: int = field(metadata={"json": "platformVersion"})
    serial: int
    member_context: dict[str, str] = field(metadata={"json": "memberContext"})
    mgm_context: dict[str, str] = field(metadata={"json": "mgmContext"})

    __json_open__: ClassVar[bool] = True


@dataclass(frozen=True)
class NotaryInfo:
    """A notary service of the group."""

    name: str
    protocol: str
    protocol_versions: list[int] = field(metadata={"json": "protocolVersions"})
    key: PublicKey
    backchain_required: bool = field(metadata={"json": "backchainRequired"})

    __json_open__: ClassVar[bool] = True


class Service:
    """Base of services: holds the host API."""

    def __init__(self, api: HostApi) -> None:
        self._api = api

    def _call(self, interface: str, function: str, request: object) -> Any:
        return self._api.call(interface, function, request)


class Clock(Service):
    """The host's clock: the same answers when a flow resumes."""

    def now(self) -> datetime:
        """The current instant, in UTC."""
        now: datetime = from_json(datetime, self._call("flow", "now", {}))
        return now


class Random(Service):
    """The host's randomness: the same answers when a flow resumes."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes, 1 to 65536."""
        return base64.b64decode(self._call("flow", "random", {"bytes": count}))

    def uuid(self) -> str:
        """A random UUID (version 4) as text."""
        value = bytearray(self.bytes(16))
        value[6], value[8] = value[6] & 0x0F | 0x40, value[8] & 0x3F | 0x80
        digits = value.hex()
        ends = (0, 8, 12, 16, 20, 32)
        return "-".join(digits[a:b] for a, b in pairwise(ends))


class Log(Service):
    """Log lines of the flow, written to the virtual node's log."""

    def __init__(self, api: HostApi, logger: str) -> None:
        super().__init__(api)
        self._logger = logger

    def debug(self, message: str, *arguments: object) -> None:
        """Write `message % arguments` at level debug."""
        self._write("debug", message, arguments)

    def info(self, message: str, *arguments: object) -> None:
        """Write `message % arguments` at level info."""
        self._write("info", message, arguments)

    def warning(self, message: str, *arguments: object) -> None:
        """Write `message % arguments` at level warn."""
        self._write("warn", message, arguments)

    def error(self, message: str, *arguments: object) -> None:
        """Write `message % arguments` at level error."""
        self._write("error", message, arguments)

    def _write(self, level: str, message: str, arguments: tuple[object, ...]) -> None:
        text = message % arguments if arguments else message
        line = {"level": level, "logger": self._logger, "message": text}
        self._call("log", "write", line)


def entity(key: str) -> Callable[[ClassT], ClassT]:
    """Class decorator: a dataclass that `persistence_service` stores under its field `key`."""

    def mark(cls: ClassT) -> ClassT:
        cls.__entity_key__ = key
        register(ENTITIES, cls)
        return cls

    return mark


class PersistenceService(Service):
    """Entities in the virtual node's own storage."""

    def persist(self, *entities: object, dedup_id: str | None = None) -> None:
        """Store new entities.

        Raises:
            EntityExistsError: one of the keys is stored already; nothing is stored.
        """
        self._write("persist", entities, dedup_id)

    def merge(self, *entities: E) -> list[E]:
        """Store entities, new or known; answer them as stored."""
        stored = self._write("merge", entities, None)
        return [from_json(type(e), value) for e, value in zip(entities, stored, strict=True)]

    def remove(self, *entities: object) -> None:
        """Remove entities; unknown ones are ignored."""
        self._write("remove", entities, None)

    def find(self, cls: type[E], key: object) -> E | None:
        """The entity with this key, or None."""
        return self.find_many(cls, [key])[0]

    def find_many(self, cls: type[E], keys: Iterable[object]) -> list[E | None]:
        """The entities with these keys, in that order."""
        texts = [str(key) for key in keys]
        request = {"op": "find", "type": name_of(cls), "keys": texts}
        found = self._call("persistence", "read", request)
        return [None if value is None else from_json(cls, value) for value in found]

    def find_all(self, cls: type[E]) -> list[E]:
        """All entities of a class, ordered by key."""
        query = {"op": "find-all", "type": name_of(cls)}
        return [from_json(cls, v) for v in read_pages(self._api, "persistence", "read", query)]

    def _write(self, op: str, entities: Sequence[Any], dedup_id: str | None) -> Any:
        rows = [
            {
                "type": name_of(type(e)),
                "key": str(getattr(e, type(e).__entity_key__)),
                "value": None if op == "remove" else to_json(e),
            }
            for e in entities
        ]
        request = {"op": op, "entities": rows, "dedupId": dedup_id}
        return self._call("persistence", "write", request)


def read_pages(api: HostApi, interface: str, function: str, query: dict[str, Any]) -> list[Any]:
    """All results of a paged query."""
    results: list[Any] = []
    while True:
        request = {**query, "offset": len(results), "limit": _PAGE}
        page: Any = api.call(interface, function, request)
        results += page["results"]
        if not page["more"]:
            return results


class SigningService(Service):
    """Signatures by the virtual node's own keys."""

    def sign(self, data: bytes, key: PublicKey, spec: str = "SHA256withECDSA") -> bytes:
        """Sign with the private half of `key`, which must be this node's."""
        request = {"bytes": to_json(data), "key": key, "spec": spec}
        return base64.b64decode(self._call("signing", "sign", request)["bytes"])

    def find_my_signing_keys(self, keys: Sequence[PublicKey]) -> list[PublicKey]:
        """Those of `keys` that this node holds, in order."""
        found = self._call("signing", "find-keys", {"keys": list(keys)})
        return [key for key in found if key is not None]


class DigestService(Service):
    """Digests by the host; `hashlib` inside the guest may be slower."""

    def hash(self, data: bytes, algorithm: str = "SHA-256") -> str:
        """The digest as `ALGORITHM:HEX`."""
        request = {"algorithm": algorithm, "bytes": to_json(data)}
        return str(self._call("crypto", "digest", request))


class SignatureVerificationService(Service):
    """Checks signatures by any public key."""

    def verify(self, data: bytes, signature: bytes, key: PublicKey, spec: str) -> bool:
        """Whether `signature` is a signature of `data` by `key`."""
        signed = {"bytes": to_json(data), "signature": to_json(signature)}
        return bool(self._call("crypto", "verify", {**signed, "key": key, "spec": spec}))


class MemberLookup(Service):
    """Members of the application network."""

    def my_info(self) -> MemberInfo:
        """This virtual node as a member."""
        info: MemberInfo = from_json(MemberInfo, self._lookup("me"))
        return info

    def lookup(self, name: str) -> MemberInfo | None:
        """The member with this X.500 name, or None."""
        info: MemberInfo | None = from_json(MemberInfo | None, self._lookup("name", name))
        return info

    def lookup_key(self, key: PublicKey) -> MemberInfo | None:
        """The member that holds this ledger key, or None."""
        info: MemberInfo | None = from_json(MemberInfo | None, self._lookup("key", key))
        return info

    def all(self) -> list[MemberInfo]:
        """Active members."""
        members: list[MemberInfo] = from_json(list[MemberInfo], self._lookup("all"))
        return members

    def _lookup(self, by: str, value: str | None = None) -> Any:
        request = {"by": by} if value is None else {"by": by, by: value}
        return self._call("membership", "lookup", request)


class NotaryLookup(Service):
    """Notary services of the group."""

    def notary_services(self) -> list[NotaryInfo]:
        """All notary services that the group's parameters name."""
        parameters = self._call("membership", "lookup", {"by": "group-parameters"})
        notaries: list[NotaryInfo] = from_json(list[NotaryInfo], parameters["notaries"])
        return notaries


class ExternalMessaging(Service):
    """Messages to systems outside of the network."""

    def send(self, channel: str, message: str, message_id: str | None = None) -> None:
        """Send a text to a channel that the operator has routed."""
        request = {"channel": channel, "messageId": message_id, "message": message}
        self._call("external-messaging", "send", request)
