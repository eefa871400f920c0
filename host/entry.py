"""The start of the `cordbox` command."""

import signal


def main() -> None:
    """Load the command line and run it.

    Until it is loaded, Ctrl-C ends the process silently, as any other program.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from host.cli import main as run  # noqa: PLC0415  # see above

    signal.signal(signal.SIGINT, before)
    run()
