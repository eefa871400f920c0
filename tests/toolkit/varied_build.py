"""Builds projects in a process of its own, whose surroundings the caller varies.

Reads one JSON object from standard input and writes the digests of each build's files.
"""

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

_SCANDIR, _LISTDIR = os.scandir, os.listdir


class _Shuffled:
    """What `os.scandir` gives, in another order each time."""

    def __init__(self, folder: Any = ".") -> None:
        with _SCANDIR(folder) as found:
            self._entries = list(found)
        random.shuffle(self._entries)
        self._left = iter(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._left)

    def close(self) -> None:
        self._entries = []


def _shuffled_names(folder: Any = ".") -> list[str]:
    names = _LISTDIR(folder)
    random.shuffle(names)
    return names


def main() -> None:
    wanted = json.load(sys.stdin)
    os.umask(wanted["umask"])
    random.seed(wanted["seed"])
    from cpi.crypto.keys import load_signing_key
    from host.tools.cache import default_cache_dir
    from host.tools.cordapps.build import build_cordapp
    from sandbox.runtime import Sandbox

    key = load_signing_key(
        Path(wanted["keystore"]), password=wanted["password"], alias=wanted["alias"]
    )
    os.scandir, os.listdir = _Shuffled, _shuffled_names
    time.time = lambda: float(wanted["now"])
    sandbox = Sandbox(cache_dir=default_cache_dir())
    made = []
    for text in wanted["projects"]:
        project = Path(os.fsdecode(text.encode()))
        out = project.parent / f"out-{wanted['seed']}"
        built = build_cordapp(project, (key,), out, sandbox, lambda _: None)
        made.append([*(cpk.file.digest for cpk in built.cpks), built.cpb.digest])
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
