"""The key of the administrative log of a cluster, which all its hosts use."""

from host.nodes.audit_log.administrative.reading import last_of
from host.nodes.audit_log.service import KEY_BYTES, AuditKeyMissingError
from host.ports.clock import Entropy
from host.ports.database import SqlDatabase
from host.ports.storage import SharedAuditKey


def load_shared_key(kept: SharedAuditKey, database: SqlDatabase, entropy: Entropy) -> bytes:
    """The cluster's key, made by the host that first needs it.

    Args:
        kept: where it is.
        database: the registers, with the log.
        entropy: makes the key.

    Raises:
        AuditKeyMissingError: the log has entries, and there is no key.
        MasterKeyError: it is wrapped under another passphrase than this host's.
        StorageError: it cannot be read or written.
    """
    # Looked at first: another host may make the key and write the first entry in between.
    with database.read() as connection:
        has_entries = last_of(connection)[0] >= 0
    key = kept.get()
    if key is not None:
        return key
    if has_entries:
        raise AuditKeyMissingError(
            "the database has no key of the administrative log, whose entries were written with one"
            "; `cordbox database migrate --audit-key` gives it"
        )
    return kept.keep(entropy.random_bytes(KEY_BYTES))
