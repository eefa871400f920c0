"""Encrypted containers: many named sections in one file, each verified by its digest."""

from host.adapters.files.container.errors import (
    ContainerDamagedError,
    ContainerInvalidError,
    ContainerKeyError,
    TransferKeyDamagedError,
)
from host.adapters.files.container.format import Manifest, Section, manifest_digest
from host.adapters.files.container.keys import (
    TRANSFER_KEY,
    Opener,
    Sealer,
    cluster_identity,
    recipient_of,
    sealed_identity,
)
from host.adapters.files.container.reader import (
    Target,
    identity_of_file,
    read_container,
    read_header,
)
from host.adapters.files.container.writer import write_container

__all__ = [
    "TRANSFER_KEY",
    "ContainerDamagedError",
    "ContainerInvalidError",
    "ContainerKeyError",
    "Manifest",
    "Opener",
    "Sealer",
    "Section",
    "Target",
    "TransferKeyDamagedError",
    "cluster_identity",
    "identity_of_file",
    "manifest_digest",
    "read_container",
    "read_header",
    "recipient_of",
    "sealed_identity",
    "write_container",
]
