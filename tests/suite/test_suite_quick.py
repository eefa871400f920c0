"""The list of `make quick` covers every room, and names what exists."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LISTED = (ROOT / "tests" / "quick").read_text(encoding="utf-8").splitlines()
WHOLE_HOSTS = {"e2e", "fuzz", "models", "smoke", "suite", "testkit", "walls"}
"""Folders whose tests start whole networks, fuzzers, searches of models or pytest itself, each for many seconds."""


def test_every_folder_of_tests_has_a_line() -> None:
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in all_files_of_tests()}
    listed = {Path(line).parts[1] for line in LISTED if line.startswith("tests/")}
    assert listed == folders - WHOLE_HOSTS


def test_every_line_is_a_file_or_a_test_of_it() -> None:
    for line in LISTED:
        path, _, name = line.partition("::")
        assert (ROOT / path).exists(), line
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), line


def test_a_room_outside_of_tests_is_covered_too() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for folder in settings["tool"]["pytest"]["ini_options"]["testpaths"]:
        assert any(line.startswith(f"{folder}/") for line in LISTED), folder


def all_files_of_tests() -> list[Path]:
    return [path for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "tests"]
