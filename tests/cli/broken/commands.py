"""All commands of the product, and for each a call that uses every parameter that it has."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from host.cli import root

ALICE = "O=Alice, L=London, C=GB"
PASSWORD = "test-password"
NOWHERE = "https://127.0.0.1:9"
"""No host listens on the port `discard`."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command by its words, such as `package verify`."""

    words: tuple[str, ...]
    command: click.Command

    @property
    def name(self) -> str:
        return " ".join(self.words)


def all_commands() -> Sequence[Command]:
    """Every command of the tree; groups are walked, whatever module or plugin they come from."""
    return list(_below(root, (), click.Context(root)))


def _below(command: click.Command, words: tuple[str, ...], ctx: click.Context) -> Iterator[Command]:
    if not isinstance(command, click.Group):
        yield Command(words, command)
        return
    for name in command.list_commands(ctx):
        found = command.get_command(ctx, name)
        if found is not None:
            inner = click.Context(found, info_name=name, parent=ctx)
            yield from _below(found, (*words, name), inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Files that commands accept, below one folder.

    Attributes:
        good: a value by the name of its parameter.
        special: the same for one command, by `command parameter`.
    """

    folder: Path
    good: Mapping[str, str]
    special: Mapping[str, str]

    def value(self, command: Command, parameter: click.Parameter) -> str | None:
        """A value that the parameter accepts; None to leave it out."""
        name = str(parameter.name)
        found = self.special.get(f"{command.name} {name}", self.good.get(name))
        return found or None

    def fresh(self) -> None:
        """Remove what calls have written."""
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        (self.folder / "out").mkdir()


def words_of(
    command: Command, workspace: Workspace, *, broken: str = "", value: str | None = None
) -> list[str]:
    """A call with good values, where one parameter has another value.

    Args:
        command: the command.
        workspace: the good values.
        broken: name of the parameter that has `value`.
        value: of that parameter; None leaves it out.
    """
    options: list[str] = []
    arguments: list[str] = []
    for parameter in command.command.params:
        is_broken = parameter.name == broken
        text = value if is_broken else workspace.value(command, parameter)
        if text is None:
            continue
        if isinstance(parameter, click.Argument):
            arguments.append(text)
        elif isinstance(parameter, click.Option) and not parameter.is_flag:
            options.append(f"{longest(parameter.opts)}={text}")
        elif text == "yes":
            options.append(longest(parameter.opts))
    return [*command.words, *options, *(["--", *arguments] if arguments else [])]


def longest(names: Sequence[str]) -> str:
    return max(names, key=len)
