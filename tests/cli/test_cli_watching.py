"""`--watch`, colours, and JSON of every command."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from host.cli import EXIT_INTERRUPTED, _ended, root, watching
from host.cli.lines import newer, painted, some, tell_table
from host.cli.values import Moment
from host.domain.errors import NotFoundError, UnavailableError

WITHOUT_JSON: Mapping[tuple[str, ...], str] = {
    ("certificate", "get"): "prints PEM",
    ("completion",): "prints a script",
    ("component", "check"): "its form with lists is `report`",
    ("config", "schema"): "prints JSON Schema",
    ("dev",): "runs until it is interrupted",
    ("flow", "debug"): "is a conversation",
    ("flow", "export"): "prints JSON",
    ("keystore", "export-certificate"): "prints PEM",
    ("ledger", "export"): "prints lines of JSON",
    ("mgm", "groupPolicy"): "prints JSON",
    ("mgm", "operate", "export-group-policy"): "prints JSON",
    ("network", "groupPolicy"): "prints JSON",
    ("network", "operate", "export-group-policy"): "prints JSON",
    ("secret-config", "create"): "prints JSON",
    ("secret-config", "decrypt"): "prints the secret, as Corda's does",
}
"""Commands without `--output json`, and why."""


def commands(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from commands(inner, (*words, name))


def test_every_command_answers_in_json_or_says_why_not() -> None:
    without = set()
    for words, command in commands(root):
        choices = [p.type.choices for p in command.params if isinstance(p.type, click.Choice)]
        names = [name for p in command.params for name in p.opts]
        if "--output" not in names or not any("json" in each for each in choices):
            without.add(words)
    assert without == set(WITHOUT_JSON)


def test_lists_of_a_host_can_be_watched_and_limited() -> None:
    found = dict(commands(root))
    for words in (
        *(("cpi", "list"), ("vnode", "list"), ("member", "list"), ("ledger", "list")),
        *(("flow", "list"), ("flow", "dead-letter", "list"), ("host", "status")),
    ):
        names = {name for p in found[words].params for name in p.opts}
        assert {"--watch", "--every"} <= names, words
        assert "--limit" in names or words == ("host", "status"), words


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A command `look` below the root that prints or raises these, then is interrupted."""
    answers: list[object] = []

    @click.command("look")
    @watching.watchable
    def look() -> None:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        click.echo(answer)

    def wait(seconds: float) -> None:
        assert seconds == 2
        if not answers:
            raise KeyboardInterrupt

    monkeypatch.setattr(watching, "wait", wait)
    monkeypatch.setitem(root.commands, "look", look)
    return answers


def test_what_is_watched_is_printed_in_blocks_until_it_is_interrupted(
    looks: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    looks += ["one", "two"]
    assert _ended(["look", "--watch"]) == EXIT_INTERRUPTED
    told = capsys.readouterr()
    assert (told.out, told.err) == ("one\n\ntwo\n\n", "\ncordbox: interrupted\n")
    looks += ["three"]
    assert _ended(["look"]) == 0
    assert capsys.readouterr().out == "three\n"


def test_a_host_that_is_away_for_a_while_is_asked_again(
    looks: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    looks += ["one", UnavailableError("the host does not answer"), SystemExit(1), "two"]
    assert _ended(["look", "--watch"]) == EXIT_INTERRUPTED
    told = capsys.readouterr()
    assert told.out == "one\n\n\ntwo\n\n"
    assert told.err == "error[unavailable]: the host does not answer\n\ncordbox: interrupted\n"


@pytest.mark.parametrize(
    ("first", "code"), [(UnavailableError("no host"), 75), (NotFoundError("no node"), 1)]
)
def test_a_host_that_never_answered_is_not_asked_again(
    looks: list[object], first: Exception, code: int
) -> None:
    looks += [first, "never"]
    assert _ended(["look", "--watch"]) == code
    assert looks == ["never"]


def test_other_refusals_end_the_watch(looks: list[object]) -> None:
    looks += ["one", NotFoundError("the node is gone")]
    assert _ended(["look", "--watch"]) == 1


@click.command("paint")
def paint() -> None:
    tell_table(("STATUS", "name"), [("FAILED", "O=Running"), ("COMPLETED", "x\x1b[2J")])


@pytest.mark.parametrize(
    ("environment", "terminal", "coloured"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, False, False),
    ],
)
def test_states_have_colours_on_terminals_that_want_them(
    environment: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(root.commands, "paint", paint)
    env = {"NO_COLOR": None, "TERM": None, **environment}
    out = CliRunner().invoke(root, ["paint"], env=env, color=terminal).output
    assert ("\x1b[31mFAILED" in out) is coloured
    assert ("\x1b[1mSTATUS" in out) is coloured
    assert "\x1b[2J" not in out
    if not coloured:
        assert out.splitlines()[:2] == ["STATUS     name", "FAILED     O=Running"]


def test_only_whole_cells_that_name_a_state_are_painted() -> None:
    assert painted("RUNNING   ") == click.style("RUNNING   ", fg="blue")
    for cell in ("O=Failed, L=London", "", "is active"):
        assert painted(cell) == cell


def test_a_span_before_now_is_a_time() -> None:
    for text, seconds in (("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800)):
        before = datetime.now(UTC)
        moment = Moment().convert(text, None, None)
        assert before - moment <= timedelta(seconds=seconds) <= datetime.now(UTC) - moment
    for text in ("-5m", "5 m", "5w", "1.5h", "9999999s"):
        with pytest.raises(click.BadParameter):
            Moment().convert(text, None, None)


def test_lists_end_at_a_limit_or_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert some(iter("abc"), 3, "letters") == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    assert some(iter("abc"), 2, "letters") == ["a", "b"]
    assert capsys.readouterr().err == "There are more than 2 letters: see --limit.\n"
    rows = [{"at": f"2026-11-{day}T00:00:00Z"} for day in (30, 29, 28)] + [{"at": "never"}]
    since = datetime(2026, 11, 29, tzinfo=UTC)
    assert list(newer(rows, "at", since)) == rows[:2]
    assert list(newer(rows, "at", None)) == rows
    assert list(newer([{"at": "2026-11-29T00:00:00"}, *rows], "at", since)) == [
        {"at": "2026-11-29T00:00:00"},
        *rows[:2],
    ]
