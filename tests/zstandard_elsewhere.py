"""Stands in for zstandard in a Python that lacks it: another Python, named here, decompresses.

Images of the cache are compressed, and the package is built for one version of Python.
"""

import os
import subprocess
import sys
from types import ModuleType

HELPER = "CORDBOX_PYTHON_WITH_ZSTANDARD"
_SCRIPT = """
import sys, zstandard
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(zstandard.ZstdDecompressor().decompress(data))
"""


class ZstdError(Exception):
    """Never raised."""


class ZstdDecompressor:
    def decompress(self, data: bytes, **_: object) -> bytes:
        words = [os.environ[HELPER], "-c", _SCRIPT]
        return subprocess.run(words, input=bytes(data), stdout=subprocess.PIPE, check=True).stdout


def frame_content_size(data: bytes) -> int:
    return len(ZstdDecompressor().decompress(data))


def install() -> None:
    """Let `import zstandard` give this module, where there is none."""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        stand_in = ModuleType("zstandard")
        for name in ("ZstdError", "ZstdDecompressor", "frame_content_size"):
            setattr(stand_in, name, globals()[name])
        for name in ("ZstdCompressor", "ZstdCompressionDict"):
            setattr(stand_in, name, object)
        sys.modules["zstandard"] = stand_in
