"""`cordbox completion`: the script by which a shell completes commands and options."""

import click

_VARIABLE = "_CORDBOX_COMPLETE"
"""The variable by which click's script asks `cordbox`; its name is made of the command's."""


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print the script by which SHELL completes commands and options.

    For bash: `eval "$(cordbox completion bash)"` in ~/.bashrc, version 4.4 or newer.
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kinds = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    click.echo(kinds[shell](ctx.find_root().command, {}, "cordbox", _VARIABLE).source())
