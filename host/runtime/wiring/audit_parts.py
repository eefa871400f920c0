"""The audit logs."""

from functools import cached_property

import structlog

from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.administrative import AdministrativeLog, AdministrativeRegister
from host.nodes.audit_log.administrative.shared_key import load_shared_key
from host.nodes.audit_log.service import KEY_NAME, load_audit_key
from host.runtime.wiring.administrative_reading import newest_act
from host.runtime.wiring.sections import administrative_retention, segment_bytes
from host.runtime.wiring.storage_parts import NOTE_SECONDS, StorageParts

AUDIT_SYNC_SECONDS = 1
"""Entries of audit logs that are older than this survive a power failure."""

_log = structlog.get_logger("cordbox.host")


class AuditParts(StorageParts):
    """The logs of virtual nodes and of administrative acts, and their key."""

    @cached_property
    def audit_key(self) -> bytes:
        """The key of the nodes' audit logs of this host."""
        directory = self.base.directory
        if not (directory.secrets / KEY_NAME).exists():
            # Rare: the first start, or the key was lost before any entry was written.
            _log.info("audit-key-made", folder=str(directory.secrets))
        return load_audit_key(
            directory.secrets,
            entropy=self.base.entropy,
            logs=directory.virtual_nodes,
            newest_act=newest_act(directory.path),
        )

    @cached_property
    def administrative_key(self) -> bytes:
        """The key of the administrative log: the cluster's, where several hosts write it."""
        shared = self.storage.shared_audit_key(self.base.entropy)
        if shared is None:
            return self.audit_key
        return load_shared_key(shared, self.database, self.base.entropy)

    @cached_property
    def audit_logs(self) -> NodeAuditLogs:
        """The logs of privileged calls, one for each virtual node."""
        logs = NodeAuditLogs(
            self.base.directory.virtual_nodes,
            key=self.audit_key,
            clock=self.base.clock,
            segment_bytes=segment_bytes(self.config),
            known_end=self.made_vaults.audit_end,
            bytes_max_of=lambda node: self.quotas.quota(node).audit_bytes_max,
        )

        # Stopped after the logs are closed, so that their last entries are synced to disk.
        self._flush(lambda: self.made_vaults.note_audit_ends(logs.take_ends()), NOTE_SECONDS)
        self.base.stack.callback(logs.close)
        self._flush(logs.sync, AUDIT_SYNC_SECONDS)
        return logs

    @cached_property
    def administrative_log(self) -> AdministrativeLog:
        """The administrative log; only the process that serves REST writes it."""
        register = AdministrativeRegister(
            self.database,
            key=self.administrative_key,
            clock=self.base.clock,
            retention=administrative_retention(self.config),
        )
        log = AdministrativeLog(register, self.base.clock)
        log.start()
        self.base.stack.callback(log.close)
        return log
