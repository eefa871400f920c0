"""Stylesheets and the script: served under their digests, so that browsers may keep them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from host.tools.audit.drawing import DRAWING_CSS

PREFIX = "/console"
_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    content: bytes
    media_type: str
    path: str


def _read(file: Path) -> StaticFile:
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return StaticFile(
        content=content,
        media_type=_TYPES[file.suffix],
        path=f"{PREFIX}/static/{digest}/{file.name}",
    )


STATIC_FILES: Mapping[str, StaticFile] = {
    file.name: _read(file)
    for file in (*sorted(_FOLDER.iterdir()), DRAWING_CSS)
    if file.suffix in _TYPES
}
"""By name; each has the path at which it is served."""
PATHS: Mapping[str, str] = {name: file.path for name, file in STATIC_FILES.items()}
