"""What this project's pytest settings promise, by runs of pytest with them on small files."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {
    "mark": "@pytest.mark.skipif(True, reason='no jarsigner')\ndef test_it(): pass\n",
    "call": "def test_it(): pytest.skip('no jarsigner')\n",
    "fixture": (
        "@pytest.fixture\ndef f(): pytest.skip('no jarsigner')\ndef test_it(f): assert f\n"
    ),
    "module": "pytest.skip('no jarsigner', allow_module_level=True)\n",
}
OTHERS = {
    "good": "def test_it(): assert True\n",
    "listed": "def test_it(): pytest.skip('no network today')\n",
    "known": "@pytest.mark.xfail(reason='known')\ndef test_it(): raise AssertionError\n",
}


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml")]
    words += ["--rootdir", str(folder), "-p", "tests.support.skips", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*words, *options, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def write(folder: Path, tests: dict[str, str]) -> Path:
    for name, test in tests.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n{test}")
    allowed = folder / "allowed"
    allowed.write_text("# why\n\nno network\n")
    return allowed


def test_an_empty_parameter_set_fails(tmp_path: Path) -> None:
    test = "@pytest.mark.parametrize('case', [])\ndef test_it(case): assert case\n"
    write(tmp_path, {"empty": test})
    done = run(tmp_path)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "Empty parameter set" in done.stdout


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_skip_that_is_not_listed_fails_the_run(tmp_path: Path, workers: str) -> None:
    allowed = write(tmp_path, SKIPPED | OTHERS)
    done = run(tmp_path, "-n", workers, "--skips-allowed", str(allowed))
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 passed" in done.stdout
    assert " failed" not in done.stdout.replace(" xfailed", "")
    told = [line for line in done.stdout.splitlines() if line.startswith("SKIP NOT ALLOWED")]
    assert len(told) == len(SKIPPED)
    for name, line in zip(sorted(SKIPPED), told, strict=True):
        assert f"test_{name}.py" in line
        assert line.endswith(": no jarsigner")


def test_a_skip_that_is_listed_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "--skips-allowed", str(write(tmp_path, OTHERS)))
    assert (done.returncode, "SKIP NOT ALLOWED" in done.stdout) == (0, False)
