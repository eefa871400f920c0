"""What is done once, while a runtime is built; imported for its effect.

The shelf and the zones are read into memory, and the loaded modules changed.
"""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import os

import alterations
import shelf
import standard_modules
import zones


def _content(name: str) -> bytes:
    with open(f"{os.path.dirname(__file__)}/{name}", "rb") as file:
        return file.read()


zones.keep(_content("zones.bin"))
shelf.keep(_content("shelf.bin"))
_missing = [
    name
    for name in standard_modules.ON_DEMAND
    if name not in standard_modules.LOADED and shelf.find_spec(name) is None
]
if _missing:
    raise LookupError(f"neither loaded nor on the shelf: {', '.join(_missing)}")
alterations.alter_preloaded()
