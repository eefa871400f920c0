"""Progress of builds on standard error, where it disturbs no output that a program reads."""

import click


def show_progress(step: str) -> None:
    """Announce a step that may take seconds."""
    click.echo(f"{step} ...", err=True)


def no_progress(step: str) -> None:
    """Announce nothing: the output is for a program."""
