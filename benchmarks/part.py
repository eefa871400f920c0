"""`python -m benchmarks.part SUITE PART RESULT`: run one part, write its figures to RESULT.

RESULT is JSON: a list of measurements, by their fields.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.suites import Part


def main(suite: str, name: str, result: str) -> None:
    figures = Part(suite, name).measure()
    Path(result).write_text(json.dumps([asdict(each) for each in figures]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
