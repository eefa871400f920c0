"""Where the data stands that others made or judged: see `tests/vectors/README.md`."""

from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors"
