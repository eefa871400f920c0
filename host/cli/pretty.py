"""Commands of plain click whose help is drawn by rich-click.

rich-click is loaded when help is shown and not before: most calls of a command line show none.
"""

from typing import Any

import click


class PrettyCommand(click.Command):
    """A command that shows the help of its rich-click twin."""

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
    """A group that does so too, and its commands."""

    command_class = PrettyCommand

    def get_help(self, ctx: click.Context) -> str:
        """The help text, with colours if the terminal has them."""
        from rich_click import RichContext, RichGroup

        names = self.list_commands(ctx)
        commands = {n: c for n in names if (c := self.get_command(ctx, n)) is not None}
        twin = RichGroup(commands=commands, **self._facts())
        return twin.get_help(
            RichContext(twin, parent=ctx.parent, info_name=ctx.info_name, **self.context_settings)
        )
