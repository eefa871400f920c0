"""Which modules of the standard library are different in a sandbox.

Source texts are changed while the shelf is compiled, and the build fails if a text is not there any
more; loaded modules are changed right after they have been loaded.
"""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import module_changes as changes
import records
import zones
from module_table import MODULES, Verdict

SOURCE_CHANGES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        # The time of a record is the time at which the host writes it.
        "logging": (
            ("_startTime = time.time_ns()", "_startTime = 0"),
            ("        ct = time.time_ns()\n", "        ct = 0\n"),
        ),
        # The queue in C waits for threads that do not exist; the one in Python refuses to.
        "queue": (("    from _queue import SimpleQueue\n", "    SimpleQueue = None\n"),),
        "secrets": (("_sysrand = SystemRandom()\n", "_sysrand = SystemRandom\n"),),
        # These import at once what only those parts use that refuse.
        "subprocess": (
            (
                "    import select\n    import selectors\n",
                "    select = selectors = types.SimpleNamespace(SelectSelector=None)\n",
            ),
        ),
        "xml.sax.saxutils": (
            ("import os, urllib.parse, urllib.request\n", "import os, urllib.parse\n"),
        ),
    }
)
"""Module -> texts that occur once in its source, and what stands there in a sandbox."""

_ELSEWHERE = frozenset(
    {"_thread", "builtins", "datetime", "io", "os", "posix", "threading", "time"}
)
"""Modules whose refusals are in their shims, or in `bundle.install`, which knows more of them."""


def alter(name: str, module: ModuleType) -> None:
    """Change a module that has just been loaded."""
    row = MODULES.get(name)
    if row is not None and row.verdict is Verdict.PARTIAL and name not in _ELSEWHERE:
        changes.refuse(module, row.refuses, row.refusal)
    change = _CHANGES.get(name)
    if change is not None:
        change(module)


def alter_preloaded() -> None:
    """Change the modules that are part of the runtime's memory; see `alter`."""
    for name, module in sorted(sys.modules.items()):
        alter(name, module)


def _send(level: str, text: str, record: Any) -> None:
    records.RECORDS.send(level, record.name, text)


def _zone_names(module: Any) -> None:
    module.available_timezones = lambda: set(zones.names())


_CHANGES: Mapping[str, Callable[[Any], None]] = MappingProxyType(
    {
        "importlib.util": changes.answer_missing_specs,
        "locale": lambda m: changes.refuse_locales(m, MODULES["locale"].refusal),
        "logging": lambda m: changes.send_records(m, _send, MODULES["io"].refusal),
        "random": lambda m: changes.refuse_unseeded(m, MODULES["random"].refusal),
        "zoneinfo._common": lambda m: changes.read_zones(m, zones.read, zones.version()),
        "zoneinfo._tzpath": _zone_names,
    }
)
