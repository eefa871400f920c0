"""See `host.tools.testkit.replay`."""

from host.tools.testkit.replay import (
    NativeReplay,
    debug,
    replay,
)

__all__ = [
    "NativeReplay",
    "debug",
    "replay",
]
