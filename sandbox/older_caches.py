"""Removes what releases before images left in a cache: components derived from Python sources.

No release that has images reads them, and each took some 60 MB: the component in `components`, and
its compiled code in `compiled`. The folder `derived`, which only those releases made, is removed
last, so that a removal that was interrupted goes on when the cache is opened again.
"""

import json
import shutil
from pathlib import Path


def remove_derived(cache_dir: Path) -> None:
    """Remove the derived components in a cache directory, if an older release has used it.

    What cannot be removed stays: nothing reads it.
    """
    derived = cache_dir / "derived"
    if not derived.is_dir():
        return
    for record in (cache_dir / "components").glob("*.json"):
        if _is_derived(record):
            for path in (cache_dir / "compiled").glob(f"{record.stem}*"):
                _remove(path)
            _remove(record.with_suffix(".wasm"))
            _remove(record)
    shutil.rmtree(cache_dir / "wizer", ignore_errors=True)
    shutil.rmtree(derived, ignore_errors=True)


def _is_derived(record: Path) -> bool:
    """Whether the record of a component names the runtime from which it was derived."""
    try:
        found = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("runtime") is not None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
