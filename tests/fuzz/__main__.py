"""`python -m tests.fuzz TARGET[-cost] [libFuzzer options]`: fuzz a target with atheris until
stopped.

Needs the extra `fuzz`. New inputs go to build/fuzz/TARGET; the committed seeds are read too.
"""

import sys
from functools import partial
from pathlib import Path

from tests.fuzz.targets import SEEDS, TARGETS, within_cost

_COST = "-cost"


def main() -> None:
    words = sys.argv[1:]
    name = words[0].removesuffix(_COST) if words else ""
    if name not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}}[-cost] [libFuzzer options]")
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install 'atheris>=3,<4'")
    target = partial(within_cost, name) if words[0].endswith(_COST) else TARGETS[name]
    found = Path("build/fuzz") / words[0]
    found.mkdir(parents=True, exist_ok=True)
    atheris.instrument_all()

    def once(data: bytes) -> None:
        target(data)

    atheris.Setup([sys.argv[0], str(found), str(SEEDS / name), *words[1:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
