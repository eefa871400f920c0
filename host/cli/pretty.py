"""Commands of plain click whose help is drawn by rich-click.

rich-click is loaded only when help is shown, since most calls show none.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import click

from host.cli.values import check_texts


class PrettyCommand(click.Command):
    """A command whose help is that of an equal rich-click command."""

    def get_help(self, ctx: click.Context) -> str:
        """The help text, with colours if the terminal has them."""
        from rich_click import RichCommand, RichContext

        twin = RichCommand(**self._facts())
        return twin.get_help(
            RichContext(twin, parent=ctx.parent, info_name=ctx.info_name, **self.context_settings)
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "params": self.params,
            "help": self.help,
            "epilog": self.epilog,
            "context_settings": self.context_settings,
        }


class PrettyGroup(PrettyCommand, click.Group):
    """A group with such help, also for its commands."""

    command_class = PrettyCommand

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; of a name that is misspelt, the error says which was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as unknown:
            from difflib import get_close_matches

            near = get_close_matches(args[0][:100], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"{unknown.message}{hint}", ctx) from unknown

    def get_help(self, ctx: click.Context) -> str:
        """The help text, with colours if the terminal has them."""
        from rich_click import RichContext, RichGroup

        names = self.list_commands(ctx)
        commands = {n: c for n in names if (c := self.get_command(ctx, n)) is not None}
        twin = RichGroup(commands=commands, **self._facts())
        return twin.get_help(
            RichContext(twin, parent=ctx.parent, info_name=ctx.info_name, **self.context_settings)
        )


class LazyGroup(PrettyGroup):
    """A group that imports a command's module when the command is used.

    Attributes:
        lazy: command name -> (module, its attribute or "command", one-line help).
    """

    lazy: ClassVar[Mapping[str, tuple[str, str, str]]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; only its name and help line while the group's help is being printed."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute, summary = self.lazy[cmd_name]
        if ctx.meta.get("cordbox.listing"):
            return click.Command(cmd_name, short_help=summary, help=summary)
        command: click.Command = getattr(import_module(module), attribute)
        check_texts(command)
        return command

    def get_help(self, ctx: click.Context) -> str:
        ctx.meta["cordbox.listing"] = True
        return super().get_help(ctx)
