"""`python -m tests.coverage [cores]`: whether the lines that a measured run executed reach the
floors.

The cores are where input of strangers is judged and where decisions are made without any input or
output: there each line is in reach of a test, so that their goal is all of them. Floors rise to the
goals as tests are added, and never fall.
"""

import sys

from coverage import Coverage

CORES = {
    "cpi/*": (99.5, 100.0),
    "cpi/crypto/*": (100.0, 100.0),
    "host/domain/*": (99.5, 100.0),
    "host/ledger/core/*,host/ledger/notary/*": (99.0, 100.0),
    "host/flow/core/machine.py,host/flow/core/session.py,host/flow/core/mapper.py": (99.5, 100.0),
}
"""Files, by patterns that commas separate: floor and goal, in per cent of their lines."""
ALL = CORES | {"*": (90.0, 95.0)}


def main(floors: dict[str, tuple[float, float]]) -> int:
    measured = Coverage()
    measured.load()
    low: list[str] = []
    for patterns, (floor, goal) in floors.items():
        found = measured.report(include=patterns.split(","), show_missing=True, skip_covered=True)
        verdict = "ok" if found >= floor else "TOO LOW"
        words = f"{patterns}: {found:.2f} %, at least {floor} %, goal {goal} %: {verdict}"
        print(words)  # noqa: T201
        if found < floor:
            low.append(words)
    # Once more at the end: what is printed by many stages may be cut to its last lines.
    for words in low:
        print(words)  # noqa: T201
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(CORES if sys.argv[1:] == ["cores"] else ALL))
