"""How much memory this process has to itself."""

import resource
from pathlib import Path

from sandbox.limits import MIB

_UNKNOWN = 256 * MIB


def data_bytes() -> int:
    """Bytes of writable private memory; a generous guess where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[5]
    except OSError:
        return _UNKNOWN
    return int(pages) * resource.getpagesize()
