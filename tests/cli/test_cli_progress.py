"""What takes more than a second is told on a terminal's standard error, and nowhere else."""

import io
import sys

import pytest

from host.cli.progress import tell_seconds, waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_seconds_are_told_and_nothing_is_left_of_them():
    ends, written = iter([False, False, True]), []
    tell_seconds("checking", lambda _: next(ends), written.append)
    assert written == ["\rchecking ... 1 s", "\rchecking ... 2 s", "\r\033[K"]


def test_what_takes_less_than_a_second_is_not_told():
    written = []
    tell_seconds("checking", lambda _: True, written.append)
    assert written == []


@pytest.mark.parametrize(
    ("stream", "output", "is_told"),
    [(Terminal, "text", True), (Terminal, "json", False), (io.StringIO, "text", False)],
)
def test_only_a_terminal_is_told_and_no_program(monkeypatch, stream, output, is_told):
    told = []
    monkeypatch.setattr("host.cli.progress.tell_seconds", lambda step, *_: told.append(step))
    monkeypatch.setattr(sys, "stderr", stream())
    with waiting("importing", output):
        pass
    assert told == (["importing"] if is_told else [])


def test_a_failure_ends_the_telling(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ValueError, match="broken"), waiting("importing", "text"):
        raise ValueError("broken")
    assert sys.stderr.getvalue() == ""
