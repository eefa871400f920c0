"""The `cordbox` command: lazily loaded groups, and one mapping from errors to exit codes.

Exit codes: 0 fine, 1 refused, 2 wrong usage, 75 try again later (EX_TEMPFAIL).
"""

import errno
import gc
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar, NoReturn

import click

from host.cli.pretty import LazyGroup

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_TRY_AGAIN = 75
_NEW_OBJECTS, _YOUNG_GENERATIONS = 50_000, 20
"""When a command's process looks for unreachable cycles: Python's own numbers are 700 and 10."""

_COMMANDS = {
    "audit": ("host.cli.audit", "Audit packages and sandboxes."),
    "component": ("host.cli.component", "Check WebAssembly components against a world."),
    "config": ("host.cli.config", "Show sections of settings and where values come from."),
    "contract": ("host.cli.contract", "Verify transactions by a CPI's contracts."),
    "cordapp": ("host.cli.cordapp", "Build CorDapps into signed packages."),
    "dev": ("host.cli.dev", "Run a CorDapp on a network that follows its sources."),
    "flow": ("host.cli.flow", "Start, follow, show and replay flows."),
    "host": ("host.cli.host", "Run a host and look at it."),
    "keystore": ("host.cli.keystore", "Make signing keys."),
    "ledger": ("host.cli.ledger", "List and export recorded transactions."),
    "mgm": ("host.cli.network", "Alias of `network`, as corda-cli has it."),
    "network": ("host.cli.network", "Write group policies."),
    "node": ("host.cli.node", "Limit and watch virtual nodes."),
    "package": ("host.cli.package", "Create, sign, verify and inspect CPBs and CPIs."),
    "runtime": ("host.cli.runtime", "List, verify and build the pinned Python runtimes."),
    "user": ("host.cli.user", "Look after the users of a host that does not run."),
    "worker": ("host.cli.worker", "Start one more worker process for a running host."),
}
"""Command name -> (module that exposes it as `command`, one-line help)."""


class _Root(LazyGroup):
    lazy: ClassVar[Mapping[str, tuple[str, str, str]]] = {
        name: (module, "command", summary) for name, (module, summary) in _COMMANDS.items()
    }


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"cordbox, version {version('cordbox')}")
        ctx.exit()


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def root() -> None:
    """Cordbox: signed CorDapp packages, sandboxed virtual nodes, durable flows."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    if arguments is not None:
        _run(arguments)
    _keep_libraries_quiet()
    # Commands make hundreds of thousands of objects that live until they end, most of them modules:
    # searching them for cycles costs a sixth of a short command's time.
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_GENERATIONS, _YOUNG_GENERATIONS)
    try:
        _run(sys.argv[1:])
    finally:
        gc.freeze()


def _run(words: Sequence[str]) -> NoReturn:
    words = list(words)
    try:
        result = root.main(args=words, prog_name="cordbox", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.Abort:
        print("cordbox: interrupted", file=sys.stderr)
        sys.exit(130)
    except click.ClickException as usage:
        usage.show()
        sys.exit(EXIT_USAGE)
    except OSError as refused:
        code = "disk-full" if refused.errno in (errno.ENOSPC, errno.EDQUOT) else "file-access"
        _report(code, f"{refused.filename or 'input'}: {refused.strerror}", words)
        sys.exit(EXIT_REFUSED)
    except Exception as refused:
        exit_code = exit_code_of(refused)
        if exit_code is None:
            raise
        _report_all(refused, words)
        sys.exit(exit_code)
    sys.exit(result if isinstance(result, int) else 0)


def _keep_libraries_quiet() -> None:
    """Show no warnings of libraries, here and in processes that are started from here.

    They speak to programmers, on a user's stderr. `PYTHONWARNINGS` and `python -W` show them.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")


def exit_code_of(error: Exception) -> int | None:
    """The exit code of a refusal; None for an unexpected error, whose traceback is shown."""
    from cpi.errors import CpiError
    from host.domain.errors import HostError, UnavailableError
    from host.settings.errors import SettingsInvalidError
    from sandbox.errors import SandboxError

    table: dict[type[Exception], int] = {
        SettingsInvalidError: EXIT_USAGE,
        UnavailableError: EXIT_TRY_AGAIN,
        HostError: EXIT_REFUSED,
        CpiError: EXIT_REFUSED,
        SandboxError: EXIT_REFUSED,
    }
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)


def _report_all(error: Exception, words: Sequence[str]) -> None:
    """Report a refusal, each fault on a line of its own."""
    from host.tools.refusals import faults_of

    faults = faults_of(error)
    if not _wants_json(words):
        for line in (line for fault in faults for line in fault.lines):
            print(line, file=sys.stderr)
        return
    first = faults[0]
    answer: dict[str, object] = {"code": first.code, "message": first.message}
    if first.facts:
        answer["details"] = dict(first.facts)
    if len(faults) > 1:
        answer["issues"] = [
            {"code": each.code, "message": each.message, "entry": each.entry} for each in faults
        ]
    print(json.dumps({"error": answer}))


def _report(code: str, message: str, words: Sequence[str]) -> None:
    if _wants_json(words):
        print(json.dumps({"error": {"code": code, "message": message}}))
    else:
        print(f"error[{code}]: {message}", file=sys.stderr)


def _wants_json(words: Sequence[str]) -> bool:
    joined = " ".join(words)
    return "--output json" in joined or "--output=json" in joined
