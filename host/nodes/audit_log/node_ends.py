"""The ends of a node's audit logs as items of its file: the logs stay where they were written."""

from collections.abc import Iterable, Iterator

import msgspec

from host.domain.ids import HoldingIdentity
from host.nodes.audit_log.problems import Anchor
from host.nodes.audit_log.service import NodeAuditLogs
from host.ports.node_contents import NodeItemInvalidError

_ENDS_MAX = 1_000


class _End(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    seq: int
    hash: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_End)


class NodeAuditEnds:
    """`NodeContents` of audit logs: their last entries, which the log at the target names first."""

    name = "audit"
    version = 1

    def __init__(self, logs: NodeAuditLogs) -> None:
        self._logs = logs

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        for end in self._logs.ends(holding.short_hash):
            yield _encoder.encode(_End(end.seq, end.hash))

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        del version  # there is one
        found = list[Anchor]()
        for item in items:
            found.append(_read(item))
            if len(found) > _ENDS_MAX:
                raise NodeItemInvalidError(f"the file names more than {_ENDS_MAX} audit logs")
        self._logs.add_origins(holding, found)

    def erase(self, holding: HoldingIdentity) -> None:
        """Nothing: a log stays, also of a node that has gone."""


def _read(item: bytes) -> Anchor:
    try:
        end = _decoder.decode(item)
    except (ValueError, RecursionError) as exc:
        raise NodeItemInvalidError("an item of audit logs is malformed") from exc
    is_hash = len(end.hash) == 64 and set(end.hash) <= set("0123456789abcdef")
    if not is_hash or not 0 <= end.seq < 2**53:
        raise NodeItemInvalidError("an item of audit logs names no entry")
    return Anchor(seq=end.seq, hash=end.hash)
