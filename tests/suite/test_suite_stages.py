"""Each test is run in one stage of CI: by place, by mark, or else with the plain ones."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import stages

ROOT = Path(__file__).parents[2]
MARKED = {
    "plain": "def test_plain(): pass\n",
    "whole": "pytestmark = [\n    pytest.mark.slow,\n]\n\ndef test_whole(): pass\n",
    "mixed": (
        "@pytest.mark.slow\ndef test_slow(): pass\n\n"
        "@pytest.mark.slow\n@pytest.mark.crash\ndef test_crash(): pass\n\n"
        "@pytest.mark.parametrize('case', [1, pytest.param(2, marks=pytest.mark.crash)])\n"
        "def test_both(case): pass\n"
    ),
}
OF_STAGE = {
    "plain": {"plain", "both[1]"},
    "processes": {"whole", "slow"},
    "kills": {"crash", "both[2]"},
    "servers,network,core": set(),
}


def run(folder: Path, stage: str) -> subprocess.CompletedProcess[str]:
    plugins = ("-p", "tests.support.stages", "-p", "no:cacheprovider", "-p", "no:xdist")
    words = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), *plugins]
    words += ["--collect-only", "--rootdir", str(folder), "--stage", stage, str(folder)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def write(folder: Path, tests: dict[str, str]) -> None:
    for name, test in tests.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n{test}")


def test_each_test_is_of_one_stage_by_its_marks(tmp_path: Path) -> None:
    write(tmp_path, MARKED)
    for stage, names in OF_STAGE.items():
        found = re.findall(r"^test_\w+\.py::test_(.*)$", run(tmp_path, stage).stdout, re.MULTILINE)
        assert set(found) == names, stage


def test_files_of_other_stages_are_not_imported(tmp_path: Path) -> None:
    write(tmp_path, {"whole": f"raise ImportError\n{MARKED['whole']}"})
    assert run(tmp_path, "plain").returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert run(tmp_path, "processes").returncode == pytest.ExitCode.INTERRUPTED


def test_a_mark_that_a_file_does_not_show_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"hidden": "pytestmark = getattr(pytest.mark, 'sl' + 'ow')\ndef test_it(): pass\n"},
    )
    done = run(tmp_path, "plain")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "its file does not show that it is processes" in done.stderr


def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    assert "no stages: plane" in run(tmp_path, "plane,core").stderr


def test_every_file_of_tests_is_of_a_stage_and_every_place_is_there() -> None:
    files = [
        path for top in ("tests", "sample_cordapps") for path in (ROOT / top).rglob("test_*.py")
    ]
    assert len(files) > 400
    found = {path: stages.possible_stages(path) for path in files}
    assert all(found.values())
    assert set().union(*found.values()) == set(stages.STAGES)
    assert [place for place in stages.PLACES if not (ROOT / place).exists()] == []


def test_ci_runs_each_stage_once_and_each_has_a_target() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    run = [name for names in re.findall(r"--stage ([a-z,]+)", script) for name in names.split(",")]
    assert script.count("make --no-print-directory coverage-cores") == 1
    assert sorted([*run, "core"]) == sorted(stages.STAGES)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\btest-([a-z]+)", makefile))
    assert {*targets, "core", "plain"} >= set(stages.STAGES)
