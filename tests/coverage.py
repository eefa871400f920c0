"""`python -m tests.coverage [cores]`: whether the lines that a measured run executed reach the floors.

The cores are where input of strangers is judged and where decisions are made without any input or
output: there each line is in reach of a test. Floors rise, and never fall.
"""

import sys

from coverage import Coverage

CORES = {
    "cpi/*": 100.0,
    "host/domain/*": 100.0,
    "host/flow/machine.py,host/flow/session.py,host/flow/mapper.py": 100.0,
}
"""Files, by patterns that commas separate, and the part of their lines in per cent."""
ALL = CORES | {"*": 95.0}


def main(floors: dict[str, float]) -> int:
    measured = Coverage()
    measured.load()
    failed = 0
    for patterns, floor in floors.items():
        found = measured.report(include=patterns.split(","), show_missing=True, skip_covered=True)
        verdict = "ok" if found >= floor else "TOO LOW"
        print(f"{patterns}: {found:.2f} %, at least {floor} %: {verdict}")  # noqa: T201
        failed += found < floor
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(CORES if sys.argv[1:] == ["cores"] else ALL))
