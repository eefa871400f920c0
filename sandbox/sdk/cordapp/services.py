"""Platform services that flows find as their attributes, apart from sessions and the ledger."""

import base64
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

from cordapp.contracts import PublicKey
from cordapp.errors import HostApi
from cordapp.schema import from_json, to_json

ExcInfo: TypeAlias = bool | BaseException | tuple[Any, ...] | None

PAGE = 500
_TRACE_LINES_MAX = 100
_TRACE_CHARACTERS_MAX = 500


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
    """Log lines of the flow, written to the virtual node's log.

    `exc_info` adds the traceback of an exception, a log line for each of its lines, as in
    `logging`: True for the one that is being handled, or the exception itself.
    """

    def __init__(self, api: HostApi, logger: str) -> None:
        super().__init__(api)
        self._logger = logger

    def debug(self, message: str, *arguments: object, exc_info: ExcInfo = None) -> None:
        """Write `message % arguments` at level debug."""
        self._write("debug", message, arguments, exc_info)

    def info(self, message: str, *arguments: object, exc_info: ExcInfo = None) -> None:
        """Write `message % arguments` at level info."""
        self._write("info", message, arguments, exc_info)

    def warning(self, message: str, *arguments: object, exc_info: ExcInfo = None) -> None:
        """Write `message % arguments` at level warn."""
        self._write("warn", message, arguments, exc_info)

    def error(self, message: str, *arguments: object, exc_info: ExcInfo = None) -> None:
        """Write `message % arguments` at level error."""
        self._write("error", message, arguments, exc_info)

    def exception(self, message: str, *arguments: object, exc_info: ExcInfo = True) -> None:
        """Write `message % arguments` at level error, with the exception that is being handled."""
        self._write("error", message, arguments, exc_info)

    def _write(
        self, level: str, message: str, arguments: tuple[object, ...], exc_info: ExcInfo
    ) -> None:
        lines = [message % arguments if arguments else message]
        exc = sys.exc_info()[1] if exc_info is True else exc_info
        if isinstance(exc, tuple):
            exc = exc[1]
        if isinstance(exc, BaseException):
            trace = "".join(traceback.format_exception(exc)).splitlines()
            lines += [line[:_TRACE_CHARACTERS_MAX] for line in trace[-_TRACE_LINES_MAX:]]
        for line in lines:
            entry = {"level": level, "logger": self._logger, "message": line}
            self._call("log", "write", entry)


def read_pages(api: HostApi, interface: str, function: str, query: dict[str, Any]) -> list[Any]:
    """All results of a paged query."""
    results: list[Any] = []
    while True:
        request = {**query, "offset": len(results), "limit": PAGE}
        page: Any = api.call(interface, function, request)
        results += page["results"]
        if not page["more"]:
            return results


def read_after(api: HostApi, function: str, query: dict[str, Any]) -> Iterator[Any]:
    """All results of a query of the ledger that goes on behind a cursor."""
    after = None
    while True:
        page: Any = api.call("ledger", function, {**query, "after": after})
        yield from page["results"]
        after = page["next"]
        if after is None:
            return


class SigningService(Service):
    """Signatures by the virtual node's own keys."""

    def sign(self, data: bytes, key: PublicKey, spec: str = "SHA256withECDSA") -> bytes:
        """Sign with the private half of `key`, which must be this node's."""
        request = {"bytes": to_json(data, bytes), "key": key, "spec": spec}
        return base64.b64decode(self._call("signing", "sign", request)["bytes"])

    def find_my_signing_keys(self, keys: Sequence[PublicKey]) -> list[PublicKey]:
        """Those of `keys` that this node holds, in order."""
        found = self._call("signing", "find-keys", {"keys": list(keys)})
        return [key for key in found if key is not None]


_DIGESTS = ("SHA-256", "SHA-256D", "SHA-384", "SHA-512")
_EC, _RSA, _ED25519 = "06072a8648ce3d0201", "06092a864886f70d010101", "06032b6570"
_SPECS = {_EC: ("{}withECDSA",), _RSA: ("{}withRSA", "{}withRSAandMGF1")}


class SignatureSpecService(Service):
    """Which signature specs fit a key; knows them without asking the host."""

    def default_spec(self, key: PublicKey, digest: str | None = None) -> str | None:
        """The spec to sign with, of this digest if one is given; None if nothing fits."""
        return next(iter(self.compatible_specs(key, digest)), None)

    def compatible_specs(self, key: PublicKey, digest: str | None = None) -> list[str]:
        """The specs that fit a key (and a digest such as `SHA-256`), the default first."""
        der = base64.b64decode("".join(key.split("-----")[2].split())).hex()
        if _ED25519 in der[:24]:
            return ["EdDSA"] if digest is None else []
        forms = next((specs for oid, specs in _SPECS.items() if oid in der[:48]), ())
        digests = [d for d in _DIGESTS if d != "SHA-256D" and digest in (None, d)]
        return [form.format(d.replace("-", "")) for form in forms for d in digests]


class DigestService(Service):
    """Digests by the host; `hashlib` inside the guest may be slower."""

    def default_digest_algorithm(self) -> str:
        """The algorithm of `hash` if none is given."""
        return _DIGESTS[0]

    def supported_digest_algorithms(self) -> list[str]:
        """Names that `hash` takes."""
        return list(_DIGESTS)

    def hash(self, data: bytes, algorithm: str = "SHA-256") -> str:
        """The digest as `ALGORITHM:HEX`."""
        request = {"algorithm": algorithm, "bytes": to_json(data, bytes)}
        return str(self._call("crypto", "digest", request))


class SignatureVerificationService(Service):
    """Checks signatures by any public key."""

    def verify(self, data: bytes, signature: bytes, key: PublicKey, spec: str) -> bool:
        """Whether `signature` is a signature of `data` by `key`."""
        signed = {"bytes": to_json(data, bytes), "signature": to_json(signature, bytes)}
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
        """Active members, by name; a call of the host for each hundred of them."""
        members: list[MemberInfo] = []
        request: dict[str, object] = {"by": "all"}
        while True:
            page = self._call("membership", "lookup", request)
            members += from_json(list[MemberInfo], page["results"])
            if not page["more"]:
                return members
            request = {"by": "all", "after": members[-1].name}

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
