"""The logs of all nodes, opened when needed, few open at a time."""

import hmac
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from host.adapters.files.regular_files import read_regular
from host.adapters.files.secret_files import read_or_create
from host.domain.errors import StorageError
from host.domain.ids import HoldingIdentity, ShortHash
from host.nodes.audit_log import chain
from host.nodes.audit_log.head import LINE_BYTES, NEWEST, is_genuine, parse_head
from host.nodes.audit_log.log_files import used_bytes
from host.nodes.audit_log.node_log import SEGMENT_BYTES, NodeLog
from host.nodes.audit_log.problems import Anchor
from host.nodes.audit_log.segments import HEAD_NAME
from host.ports.audit_log import PrivilegedCall
from host.ports.clock import Clock, Entropy
from host.ports.live import Fixed, Live

KEY_NAME = "audit-key"
KEY_BYTES = 32
_OPEN_MAX = 64


_SEGMENT = Fixed(SEGMENT_BYTES)


class AuditKeyMissingError(StorageError):
    """The key of the audit logs is missing, and there are logs that only it can authenticate."""

    code = "audit-key-missing"


class AuditKeyDamagedError(StorageError):
    """The key file of the audit logs does not hold a key: it was cut or replaced."""

    code = "audit-key-damaged"


class AuditKeyForeignError(StorageError):
    """The key authenticates no entry of the audit logs: it belongs to another host."""

    code = "audit-key-foreign"


def load_audit_key(secrets: Path, *, entropy: Entropy, logs: Path, newest_act: str | None) -> bytes:
    """The key of all logs of a host, in `<secrets>/audit-key`; created at the first call.

    A key that is lost before any entry was written with it is replaced by a new one.

    Args:
        secrets: the folder.
        entropy: makes the key.
        logs: folder of the nodes' folders: if it holds logs, no new key is made.
        newest_act: the newest entry of the administrative log: if there is one, no new key is made.

    Raises:
        AuditKeyMissingError: there are logs, and no key.
        AuditKeyDamagedError: the file does not hold 32 bytes.
        AuditKeyForeignError: no node's log and no administrative log was written with it.
        SecretFileInvalidError: others can read it.
        StorageError: the folder cannot be used.
    """
    file = secrets / KEY_NAME
    if not os.path.lexists(file) and (newest_act is not None or any(logs.glob(f"*/{HEAD_NAME}"))):
        raise AuditKeyMissingError(
            f"{file} is missing: the audit logs of this host were written with it",
            path=str(file),
        )
    key = read_or_create(file, entropy.random_bytes(KEY_BYTES))
    if len(key) != KEY_BYTES:
        # Anybody who read the key could write entries that verify.
        raise AuditKeyDamagedError(
            f"{file}: expected {KEY_BYTES} bytes, found {len(key)}", path=str(file)
        )
    if _vouches_for_nothing(key, logs, newest_act):
        raise AuditKeyForeignError(
            f"{file} is another host's: neither a node's audit log nor the administrative log was"
            " written with it",
            path=str(file),
        )
    return key


def _vouches_for_nothing(key: bytes, logs: Path, newest_act: str | None) -> bool:
    """Whether there are log entries, and none of them was made with this key.

    Finding changed entries is the task of verification: one genuine entry is enough here.
    """
    is_evident = newest_act is not None
    if newest_act is not None:
        entry = chain.parse_line(newest_act.encode(errors="replace")) or {}
        mac = chain.mac_of(key, str(entry.get("hash")))
        if hmac.compare_digest(mac.encode(), str(entry.get("mac")).encode()):
            return False
    for file in logs.glob(f"*/{HEAD_NAME}"):
        try:
            newest = parse_head(read_regular(file, 2 * LINE_BYTES)).newest
        except OSError:
            continue
        if newest is not None and is_genuine(newest, NEWEST, key):
            return False
        is_evident = is_evident or newest is not None
    return is_evident


class NodeAuditLogs:
    """`host.ports.audit_log.AuditLogs` over `<root>/<short hash>/audit.log`. Thread-safe.

    Args:
        root: folder of the nodes' folders.
        key: authenticates entries.
        clock: the time of entries.
        open_max: how many unused logs stay open.
        segment_bytes: a file of this length is rotated.
        known_end: number and hash of an entry that a node's log is known to have, if any.
        bytes_max_of: bytes that the log of a node may take; without it there is no limit.
    """

    def __init__(
        self,
        root: Path,
        *,
        key: bytes,
        clock: Clock,
        open_max: int = _OPEN_MAX,
        segment_bytes: Live[int] = _SEGMENT,
        bytes_max_of: Callable[[ShortHash], int] | None = None,
        known_end: Callable[[ShortHash], tuple[int, str] | None] = lambda _: None,
    ) -> None:
        self._root = root
        self._key = key
        self._clock = clock
        self._open_max = open_max
        self._segment_bytes = segment_bytes
        self._bytes_max_of = bytes_max_of
        self._known_end = known_end
        self._ends: dict[ShortHash, tuple[int, str]] = {}
        self._lock = threading.Lock()
        self._open: OrderedDict[ShortHash, NodeLog] = OrderedDict()
        self._users: dict[ShortHash, int] = {}

    def record(self, call: PrivilegedCall) -> None:
        node = call.holding.short_hash
        has_room = self.has_room(node)
        with self._leased(node, call.holding) as log:
            log.append(call, now=self._clock.now_ms(), has_room=has_room)

    def open(self, holding: HoldingIdentity) -> None:
        """Compare a node's log with its head, and add entries about what is missing.

        Raises:
            StorageError: the log cannot be read or written.
        """
        with self._leased(holding.short_hash, holding) as log:
            log.open_now(now=self._clock.now_ms())

    def ends(self, node: ShortHash) -> Sequence[Anchor]:
        """The last entry of a node's log here, and the one that the registers know, if another.

        In a cluster the registers may know that of another host, whose files stay there.

        Raises:
            StorageError: it cannot be read.
        """
        found = list[Anchor]()
        try:
            newest = parse_head(read_regular(self._root / node / HEAD_NAME, 2 * LINE_BYTES)).newest
        except FileNotFoundError:
            newest = None
        except OSError as error:
            raise StorageError(f"{self._root / node / HEAD_NAME}: {error.strerror}") from error
        if newest is not None and is_genuine(newest, NEWEST, self._key):
            found.append(Anchor(seq=newest.seq, hash=newest.hash))
        known = _anchor(self._known_end(node))
        is_other = known is not None and not any(known.seq <= each.seq for each in found)
        return [*found, known] if known is not None and is_other else found

    def add_origins(self, holding: HoldingIdentity, ends: Sequence[Anchor]) -> None:
        """Name logs of a node at the cluster that it came from; those that are named stay.

        Raises:
            StorageError: the log cannot be written.
        """
        if ends:
            with self._leased(holding.short_hash, holding) as log:
                log.add_origins(ends, now=self._clock.now_ms())

    def has_room(self, node: ShortHash) -> bool:
        if self._bytes_max_of is None:
            return True
        return self.used_bytes(node) < self._bytes_max_of(node)

    def used_bytes(self, node: ShortHash) -> int:
        """Size in bytes of the log of a node, with its older parts.

        Raises:
            StorageError: its folder cannot be read.
        """
        return used_bytes(self._root / node)

    def sync(self) -> None:
        """Sync added entries to disk, and add counts of refusals to the logs after a minute.

        Raises:
            StorageError: a log cannot be written.
        """
        self._sync(all_counts=False)

    def _sync(self, *, all_counts: bool) -> None:
        with self._lock:
            leased = list(self._open.items())
            for node, _ in leased:
                self._users[node] = self._users.get(node, 0) + 1
        failed: StorageError | None = None
        try:
            for node, log in leased:
                try:
                    log.sync(self._clock.now_ms(), all_counts=all_counts)
                    self._keep_end(node, log)
                except StorageError as error:
                    failed = error
        finally:
            with self._lock:
                for node, _ in leased:
                    self._users[node] -= 1
                self._close_idle()
        if failed is not None:
            raise failed

    def take_ends(self) -> Mapping[ShortHash, tuple[int, str]]:
        """The newest entries that were synced to disk since the last call, by node."""
        with self._lock:
            ends, self._ends = self._ends, {}
        return ends

    def _keep_end(self, node: ShortHash, log: NodeLog) -> None:
        end = log.take_synced()
        if end is not None:
            with self._lock:
                self._ends[node] = (end.seq, end.hash)

    def close(self) -> None:
        """Add all counts to the logs, and close the logs. None may be in use."""
        try:
            self._sync(all_counts=True)
        finally:
            with self._lock:
                while self._open:
                    self._open.popitem()[1].close()

    @contextmanager
    def _leased(self, node: ShortHash, holding: HoldingIdentity) -> Iterator[NodeLog]:
        with self._lock:
            log = self._open.get(node)
            if log is None:
                log = self._open[node] = NodeLog(
                    self._root / node,
                    holding,
                    self._key,
                    segment_bytes=self._segment_bytes,
                    known_end=lambda: _anchor(self._known_end(node)),
                )
            self._open.move_to_end(node)
            self._users[node] = self._users.get(node, 0) + 1
        try:
            yield log
        finally:
            with self._lock:
                self._users[node] -= 1
                self._close_idle()

    def _close_idle(self) -> None:
        for node in list(self._open):
            if len(self._open) <= self._open_max:
                return
            if self._users[node] == 0:
                del self._users[node]
                self._open.pop(node).close()


def _anchor(end: tuple[int, str] | None) -> Anchor | None:
    return None if end is None else Anchor(seq=end[0], hash=end[1])
