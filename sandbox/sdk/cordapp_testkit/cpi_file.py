"""See `host.tools.testkit.cpi_file`."""

from host.tools.testkit.cpi_file import (
    CpiFile,
)

__all__ = [
    "CpiFile",
]
