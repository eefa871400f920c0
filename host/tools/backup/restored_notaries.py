"""Notaries after a restore: they serve only when somebody has said that their states are current.

A backup lacks what the notary accepted after it was made. If the notary went on from there, these
states could be spent a second time, so a restored one decides nothing until it is confirmed.
"""

from pathlib import Path

from host.adapters.files.data_directory import DataDirectoryLockedError, is_held
from host.adapters.files.durable_files import sync_folder, write_durably
from host.adapters.sqlite.node_files import UNIQUENESS
from host.domain.errors import NotFoundError, StorageError
from host.domain.ids import ShortHash
from host.runtime.wiring.offline_acts import offline_act


def mark_restored(folder: Path) -> None:
    """Mark each notary's database below `folder` as one of a backup.

    Raises:
        StorageError: a mark cannot be written.
    """
    for database in sorted(folder.glob(f"vnodes/*/{UNIQUENESS.name}")):
        mark = UNIQUENESS.mark_of_restore(database.parent)
        try:
            write_durably(mark, [b"restored from a backup\n"])
        except OSError as exc:
            raise StorageError(f"{mark} cannot be written: {exc.strerror}") from exc


def resume_notary(data_dir: Path, node: ShortHash) -> None:
    """Let a restored notary serve again; recorded in the administrative log.

    Args:
        data_dir: of a host that does not run.
        node: the notary's node.

    Raises:
        DataDirectoryLockedError: a host runs on it.
        NotFoundError: the node has no restored notary.
        StorageError: the mark cannot be removed, or the act cannot be recorded.
    """
    if is_held(data_dir):
        raise DataDirectoryLockedError(f"a host runs on {data_dir}", path=str(data_dir))
    mark = UNIQUENESS.mark_of_restore(data_dir / "vnodes" / node)
    if not mark.is_file():
        raise NotFoundError(
            f"virtual node {node} has no notary that came from a backup",
            kind="restored notary",
            named=node,
        )
    with offline_act(data_dir, "notary resume", parameters={"node": node}):
        mark.unlink()
        sync_folder(mark.parent)
