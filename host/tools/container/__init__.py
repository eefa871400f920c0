"""Encrypted containers: many named sections in one file, each verified by its digest."""

from host.tools.container.errors import (
    ContainerDamagedError,
    ContainerInvalidError,
    ContainerKeyError,
)
from host.tools.container.format import Manifest, Section
from host.tools.container.keys import Opener, Sealer
from host.tools.container.reader import Target, read_container, read_header
from host.tools.container.writer import write_container

__all__ = [
    "ContainerDamagedError",
    "ContainerInvalidError",
    "ContainerKeyError",
    "Manifest",
    "Opener",
    "Sealer",
    "Section",
    "Target",
    "read_container",
    "read_header",
    "write_container",
]
