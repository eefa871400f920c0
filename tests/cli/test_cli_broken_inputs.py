"""Every command with broken values of every parameter: exit code, a stable code, no traceback.

`CORDBOX_BROKEN_INPUTS=all` tries each value with each parameter, which takes an hour;
otherwise each parameter gets some.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from host import cli
from tests.cli.broken.calls import call
from tests.cli.broken.commands import Command, Workspace, all_commands, words_of
from tests.cli.broken.values import applicable, broken_values
from tests.cli.broken.workspace import make_workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ALL = os.environ.get("CORDBOX_BROKEN_INPUTS") == "all"
SEED = os.environ.get("CORDBOX_SEED", "2026")
EACH = 2
"""Values of a parameter, if not all are tried."""
STARTS = {
    *("host run", "worker", "dev", "audit gauntlet", "runtime build", "flow debug"),
    *("network up", "mgm up"),
}
"""Commands that go on until they are stopped, or compile for minutes, if nothing is broken: only
their missing and refused files are tried."""
COSTLY = {"audit diff", "audit file", "host backup", "host restore", "host check"}
COMMANDS = all_commands()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def out(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that calls write into."""
    monkeypatch.setenv("CORDBOX_TRACEBACK", "1")
    for variable in ("CORDBOX_STOREPASS", "CORDBOX_ADMIN_PASSWORD", "CORDBOX_URL"):
        monkeypatch.delenv(variable, raising=False)
    workspace.fresh()
    monkeypatch.chdir(workspace.folder / "out")
    return workspace.folder / "out"


def test_the_tree_of_commands_is_walked_whole() -> None:
    names = {command.name for command in COMMANDS}
    assert len(names) >= 57
    assert {"package verify", "audit log show", "ledger export", "dev"} <= names
    assert {name.partition(" ")[0] for name in names} == set(cli._COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_a_command_bears_broken_values(
    command: Command, workspace: Workspace, out: Path, tmp_path: Path
) -> None:
    faults: list[str] = []
    for name, wrong in _tried(command):
        parameter = next(p for p in command.command.params if p.name == name)
        broken = tmp_path / "broken"
        broken.mkdir()
        workspace.fresh()
        os.chdir(out)
        value = broken_values(parameter, broken)[wrong]()
        done = call(words_of(command, workspace, broken=name, value=value))
        faults += [f"{command.name}, {name} = {wrong}: {fault}" for fault in done.faults()]
        _remove(broken)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_a_command_without_arguments_or_with_strange_ones_is_wrong_usage(
    command: Command, out: Path
) -> None:
    for words in ([], ["--nonsense"], ["--", *["x"] * 60], ["--output"], ["\udcff"], [""]):
        if command.name in STARTS and not words:
            continue
        assert not call([*command.words, *words]).faults()


def _tried(command: Command) -> Iterator[tuple[str, str]]:
    """Name of a parameter and of a broken value."""
    chosen = random.Random(f"{SEED} {command.name}")
    for parameter in applicable(command.command):
        values = list(broken_values(parameter, Path()))
        if command.name in STARTS:
            values = [v for v in values if v in _HARMLESS]
        if command.name in {"runtime build", "network up", "mgm up"}:
            return  # they build first, for minutes, or leave hosts running
        if not ALL or command.name in COSTLY:
            values = chosen.sample(values, min(len(values), 1 if command.name in COSTLY else EACH))
        for wrong in values:
            yield str(parameter.name), wrong


_HARMLESS = ("missing", "below a file", "loop", "half character", "empty", "not a number", "huge")


def _remove(folder: Path) -> None:
    for each in folder.rglob("*"):
        if each.is_file() and not each.is_symlink():
            each.chmod(0o600)
    shutil.rmtree(folder)
