"""What takes more than a second is told on a terminal's standard error, and nowhere else."""

import io
import sys

import click
import pytest

from host.cli.host_options import host_options
from host.cli.package_options import output_option
from host.cli.progress import Silence, waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Times:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def told():
    """A silence, its clock, and what it has written."""
    times, written = Times(), []
    return Silence("checking", times, written.append), times, written


def test_seconds_are_told_and_nothing_is_left_of_them(told):
    silence, times, written = told
    for times.now in (0.9, 1.0, 2.5):
        silence.tell()
    silence.end()
    silence.tell()
    assert written == ["\rchecking ... 1 s", "\rchecking ... 2 s", "\r\033[K"]


def test_what_takes_less_than_a_second_is_not_told(told):
    silence, times, written = told
    times.now = 0.99
    silence.tell()
    silence.end()
    assert written == []


def test_what_is_printed_takes_it_away_and_a_question_is_left_alone(told):
    silence, times, written = told
    out = io.StringIO()
    times.now = 3.0
    silence.tell()
    silence.print(out, "one\n")
    silence.tell()
    times.now = 4.0
    silence.tell()
    silence.print(out, "")
    silence.print(out, "Password: ")
    times.now = 9.0
    silence.tell()
    assert out.getvalue() == "one\nPassword: "
    assert written == ["\rchecking ... 3 s", "\r\033[K", "\rchecking ... 1 s", "\r\033[K"]


@pytest.fixture
def silences(monkeypatch):
    """The silences that commands have begun; each would tell at once, not by a thread's time."""
    begun = []

    class Kept(Silence):
        def __init__(self, step, clock, write):
            super().__init__(step, clock, write)
            self._since -= 10
            begun.append((step, self))

    monkeypatch.setattr("host.cli.progress.Silence", Kept)
    return begun


@pytest.mark.parametrize(
    ("stream", "output", "is_told"),
    [(Terminal, "text", True), (Terminal, "json", False), (io.StringIO, "text", False)],
)
def test_only_a_terminal_is_told_and_no_program(monkeypatch, silences, stream, output, is_told):
    monkeypatch.setattr(sys, "stderr", stream())
    before = sys.stdin, sys.stdout, sys.stderr
    with waiting("importing", output):
        for _, silence in silences:
            silence.tell()
        click.echo("done", err=True)
    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert ("importing ... 10 s" in sys.stderr.getvalue()) is is_told
    assert sys.stderr.getvalue().endswith("\r\033[Kdone\n" if is_told else "done\n")


def test_a_failure_ends_the_telling(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ValueError, match="broken"), waiting("importing", "text"):
        raise ValueError("broken")
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize("read", [lambda s: s.read(), lambda s: s.buffer, list])
def test_who_types_is_not_disturbed(monkeypatch, silences, read):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"typed\n")))
    with waiting("config put", "text"):
        read(sys.stdin)
        silences[0][1].tell()
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize(("words", "told"), [((), ["slow"]), (("--output", "json"), [])])
def test_every_command_that_asks_a_host_tells_how_long_it_is_silent(
    monkeypatch, silences, words, told
):
    monkeypatch.setattr(sys, "stderr", Terminal())

    @click.command("slow")
    @host_options
    @output_option
    def command(*, connect, output):
        del connect, output

    command.main(args=list(words), prog_name="slow", standalone_mode=False)
    assert [step for step, _ in silences] == told
