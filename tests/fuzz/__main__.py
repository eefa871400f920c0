"""`python -m tests.fuzz TARGET [libFuzzer options]`: fuzz one target with atheris until stopped.

Needs the extra `fuzz`. New inputs go to build/fuzz/TARGET; the committed seeds are read too.
"""

import sys
from pathlib import Path

from tests.fuzz.targets import SEEDS, TARGETS


def main() -> None:
    words = sys.argv[1:]
    if not words or words[0] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}} [libFuzzer options]")
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install 'cordbox[fuzz]'")
    target = TARGETS[words[0]]
    found = Path("build/fuzz") / words[0]
    found.mkdir(parents=True, exist_ok=True)
    atheris.instrument_all()

    def once(data: bytes) -> None:
        target(data)

    atheris.Setup([sys.argv[0], str(found), str(SEEDS / words[0]), *words[1:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
