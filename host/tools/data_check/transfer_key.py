"""Checks that the key for files of nodes that are sent to this cluster can be used."""

from collections.abc import Iterator
from pathlib import Path

from host.adapters.files.container import TRANSFER_KEY, TransferKeyDamagedError, cluster_identity
from host.adapters.files.identity import Finding
from host.tools.data_check.codes import CheckCode, finding


def transfer_key(folder: Path) -> Iterator[Finding]:
    """Why it cannot be used: files that were encrypted to it can be opened by nobody."""
    name = f"secrets/{TRANSFER_KEY}"
    if not (folder / name).exists():
        return
    try:
        cluster_identity(folder / "secrets")
    except TransferKeyDamagedError:
        yield finding(
            CheckCode.KEY_UNUSABLE,
            name,
            "holds no private key that others cannot read",
            expected="a private key of age",
            found="something else",
        )
