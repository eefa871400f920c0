"""The logs of all nodes, opened when needed, few open at a time."""

import threading
from collections import OrderedDict
from pathlib import Path

from host.audit_log.node_log import NodeLog
from host.domain.errors import StorageError
from host.domain.ids import HoldingIdentity, ShortHash
from host.ports.audit_log import PrivilegedCall
from host.ports.clock import Clock, Entropy
from host.secret_files import read_or_create

KEY_NAME = "audit-key"
KEY_BYTES = 32
_OPEN_MAX = 64


def load_audit_key(secrets: Path, *, entropy: Entropy) -> bytes:
    """The key of all logs of a host, in `<secrets>/audit-key`; made at the first call.

    Raises:
        SecretFileInvalidError: others can read it.
        StorageError: the folder cannot be used.
    """
    return read_or_create(secrets / KEY_NAME, entropy.random_bytes(KEY_BYTES))


class NodeAuditLogs:
    """`host.ports.audit_log.AuditLogs` over `<root>/<short hash>/audit.log`. Thread-safe."""

    def __init__(self, root: Path, *, key: bytes, clock: Clock, open_max: int = _OPEN_MAX) -> None:
        self._root = root
        self._key = key
        self._clock = clock
        self._open_max = open_max
        self._lock = threading.Lock()
        self._open: OrderedDict[ShortHash, NodeLog] = OrderedDict()
        self._users: dict[ShortHash, int] = {}

    def record(self, call: PrivilegedCall) -> None:
        node = call.holding.short_hash
        log = self._lease(node, call.holding)
        try:
            log.append(call, now=self._clock.now_ms())
        finally:
            with self._lock:
                self._users[node] -= 1
                self._close_idle()

    def sync(self) -> None:
        """Bring what was added to the disk.

        Raises:
            StorageError: a log cannot be written.
        """
        with self._lock:
            leased = list(self._open.items())
            for node, _ in leased:
                self._users[node] = self._users.get(node, 0) + 1
        failed: StorageError | None = None
        try:
            for _, log in leased:
                try:
                    log.sync()
                except StorageError as error:
                    failed = error
        finally:
            with self._lock:
                for node, _ in leased:
                    self._users[node] -= 1
                self._close_idle()
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Close every log. None may be in use."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _lease(self, node: ShortHash, holding: HoldingIdentity) -> NodeLog:
        with self._lock:
            log = self._open.get(node)
            if log is None:
                log = self._open[node] = NodeLog(self._root / node, holding, self._key)
            self._open.move_to_end(node)
            self._users[node] = self._users.get(node, 0) + 1
            return log

    def _close_idle(self) -> None:
        for node in list(self._open):
            if len(self._open) <= self._open_max:
                return
            if self._users[node] == 0:
                del self._users[node]
                self._open.pop(node).close()
