"""A part of the benchmarks that fails, in whatever way, hides no figure of another."""

import json
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.running import Results, run_parts
from benchmarks.suites import SUITES, Part, UnknownPartError, parts

FIGURES = json.dumps([{"name": "what", "value": 1.0, "unit": "s"}])
GOOD = f"import sys; open(sys.argv[1], 'w').write({FIGURES!r})"
BAD = {
    "raises": ("raise ValueError('the peer is gone')", "ValueError: the peer is gone"),
    "exits": ("import sys; sys.exit('refused')", "refused"),
    "aborts": ("import os; os.abort()", "ended by SIGABRT"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL"),
    "silent": ("pass", "no figures"),
    "wrong": ("import sys; open(sys.argv[1], 'w').write('[{}]')", "no figures"),
    "code": ("import os; os._exit(7)", "ended with code 7"),
}


def run(programs: dict[str, str], tmp_path: Path, *, seconds_max: float = 100) -> Results:
    results = Results()
    run_parts(
        [Part("suite", name) for name in programs],
        results,
        logs=tmp_path / "logs",
        ended=lambda _part: results.write(tmp_path / "results.json"),
        words=lambda part, result: [sys.executable, "-c", programs[part.name], str(result)],
        seconds_max=seconds_max,
    )
    return results


@pytest.mark.parametrize("kind", BAD)
def test_a_failing_part_is_reported_and_the_others_go_on(kind: str, tmp_path: Path) -> None:
    program, reason = BAD[kind]
    results = run({"before": GOOD, kind: program, "after": GOOD}, tmp_path)
    assert [part.name for part in results.figures] == ["before", "after"]
    assert [part.name for part in results.failures] == [kind]
    assert reason in results.failures[Part("suite", kind)].reason
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [each["part"] for each in written["figures"]] == ["before", "after"]
    assert [each["part"] for each in written["failures"]] == [kind]


def test_parts_keep_compiled_modules_as_an_installation_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    program = f"import sys; assert not sys.dont_write_bytecode; {GOOD}"
    assert Part("suite", "part") in run({"part": program}, tmp_path).figures


def test_a_part_without_an_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    endless = textwrap.dedent(f"""
        import subprocess, sys
        child = subprocess.Popen(["sleep", "1000"])
        open({str(child)!r}, "w").write(str(child.pid))
        child.wait()
    """)
    results = run({"endless": endless, "after": GOOD}, tmp_path, seconds_max=5)
    assert results.failures[Part("suite", "endless")].reason == "not ended after 5 s"
    assert Part("suite", "after") in results.figures
    assert ended(int(child.read_text(encoding="utf-8")))


def ended(pid: int) -> bool:
    """Whether a process has ended; it is a zombie where nobody reaps it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def test_every_part_is_a_function_of_its_suite() -> None:
    for part in parts(()):
        assert callable(getattr(import_module(f"benchmarks.{part.suite}"), part.name)), part


def test_names_choose_suites_and_parts() -> None:
    assert parts(["boundary", "durable_steps.growth", "boundary"]) == [
        Part("boundary", "crossing"),
        Part("durable_steps", "growth"),
    ]
    assert len(parts(())) == sum(map(len, SUITES.values()))
    for unknown in ("nothing", "boundary.nothing", "boundary.", ".crossing", ""):
        with pytest.raises(UnknownPartError, match=r"unknown benchmark .*; "):
            parts([unknown])


def test_the_exit_code_tells_of_a_failing_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(bad: str | None, raised: type[BaseException] | None = None) -> int:
        def words(part: Part, result: Path) -> list[str]:
            if raised is not None and part.suite == bad:
                raise raised
            program = BAD["raises"][0] if part.suite == bad else GOOD
            return [sys.executable, "-c", program, str(result)]

        names = ["boundary", "host_start"]
        return main(names, words=words, written=tmp_path / "all.json", logs=tmp_path / "logs")

    assert told(None) == 0
    assert told("boundary") == 1
    said = capsys.readouterr().out
    assert "boundary.crossing failed: ValueError: the peer is gone" in said
    assert told("host_start", KeyboardInterrupt) == 130
    written = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [each["suite"] for each in written["figures"]] == ["boundary"]
    assert main(["nothing"]) == 2
