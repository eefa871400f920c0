"""The `cordbox` command: lazily loaded groups, and one mapping from errors to exit codes.

Exit codes: 0 fine, 1 refused, 2 wrong usage, 75 try again later (EX_TEMPFAIL), 130 interrupted.
"""

import errno
import gc
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

import click

from host.cli.lines import tell_json_line
from host.cli.pretty import LazyGroup
from host.cli.streams import abandon_output, flush_output, prepare_streams

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_TRY_AGAIN = 75
EXIT_INTERRUPTED = 130
_TRACEBACK_VARIABLE = "CORDBOX_TRACEBACK"
_MESSAGE_CHARACTERS_MAX = 300
_OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO, errno.EBADF})
_NEW_OBJECTS, _YOUNG_GENERATIONS = 50_000, 20
"""When a command's process looks for unreachable cycles: Python's own numbers are 700 and 10."""

_COMMANDS = {
    "audit": ("host.cli.audit", "Audit packages and sandboxes."),
    "certificate": ("host.cli.certificate", "Upload and list certificates."),
    "completion": ("host.cli.completion", "Print a script that completes commands in a shell."),
    "component": ("host.cli.component", "Check WebAssembly components against a world."),
    "config": ("host.cli.config", "Show sections of settings and where values come from."),
    "contract": ("host.cli.contract", "Verify transactions by a CPI's contracts."),
    "cordapp": ("host.cli.cordapp", "Build CorDapps into signed packages."),
    "cpi": ("host.cli.cpi", "Upload and list the CPIs of a running host."),
    "database": ("host.cli.database", "Check and migrate the database of a cluster."),
    "dev": ("host.cli.dev", "Run a CorDapp on a network that follows its sources."),
    "flow": ("host.cli.flow", "Start, follow, show and replay flows."),
    "host": ("host.cli.host", "Run a host and look at it."),
    "initial-rbac": ("host.cli.initial_rbac", "Make Corda's roles on a running host."),
    "kafka": ("host.cli.kafka", "Look after the Kafka topics that a host sends to."),
    "key": ("host.cli.key", "Make and list keys of virtual nodes and of a host."),
    "keystore": ("host.cli.keystore", "Make signing keys."),
    "ledger": ("host.cli.ledger", "List, show, repair and export transactions."),
    "member": ("host.cli.member", "List the members of a network."),
    "mgm": ("host.cli.network", "Alias of `network`, as corda-cli has it."),
    "network": ("host.cli.network", "Set up networks and look after them."),
    "node": ("host.cli.node", "Limit and watch virtual nodes."),
    "notary": ("host.cli.notary", "Make the CorDapps of notaries."),
    "package": ("host.cli.package", "Create, sign, verify and inspect CPBs and CPIs."),
    "permission": ("host.cli.permission", "Make and list permissions of a running host."),
    "profile": ("host.cli.profile", "Name hosts for commands."),
    "role": ("host.cli.role", "Make roles of a running host, and give them permissions."),
    "runtime": ("host.cli.runtime", "List, verify and build the pinned Python runtimes."),
    "secret-config": ("host.cli.secret_config", "Seal secrets for settings of a host."),
    "user": ("host.cli.user", "Look after the users of a host."),
    "vault": ("host.cli.vault", "Rebuild vaults of virtual nodes."),
    "vnode": ("host.cli.vnode", "Make, list and register virtual nodes."),
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
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        click.get_current_context().color = False


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    prepare_streams()
    if arguments is not None:
        sys.exit(_ended(list(arguments)))
    _keep_libraries_quiet()
    # Commands make hundreds of thousands of objects that live until they end, most of them modules:
    # searching them for cycles costs a sixth of a short command's time.
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_GENERATIONS, _YOUNG_GENERATIONS)
    code = _ended(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


def _ended(words: Sequence[str]) -> int:
    """Run a command and report how it failed; returns the exit code."""
    try:
        code = _run(words)
        flush_output()
    except (KeyboardInterrupt, click.Abort):
        _say("cordbox: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        abandon_output()
        return EXIT_REFUSED
    except OSError as failed:
        # Standard output may be what cannot be written: nothing more is said there.
        abandon_output()
        _say(f"error[{_code_of(failed)}]: output: {failed.strerror or failed}")
        return EXIT_REFUSED
    return code


def _run(words: Sequence[str]) -> int:
    try:
        result = root.main(args=list(words), prog_name="cordbox", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as usage:
        _report_usage(usage, words)
        return EXIT_USAGE
    except click.Abort:
        raise
    except OSError as refused:
        is_named = isinstance(refused.filename, str | bytes)
        if not is_named and refused.errno in _OUTPUT_ERRORS:
            raise
        name = os.fsdecode(refused.filename) if is_named else "input"
        _report(_code_of(refused), f"{name}: {refused.strerror or refused}", words)
        return EXIT_REFUSED
    except Exception as refused:
        exit_code = exit_code_of(refused)
        if exit_code is not None:
            _report_all(refused, words)
            return exit_code
        if os.environ.get(_TRACEBACK_VARIABLE):
            raise
        _report("command-failed", _unexpected(refused), words)
        return EXIT_REFUSED
    return result if isinstance(result, int) else 0


def _report_usage(usage: click.ClickException, words: Sequence[str]) -> None:
    if _wants_json(words):
        _report("usage", usage.format_message(), words)
    else:
        usage.show()


def _code_of(error: OSError) -> str:
    return "disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "file-access"


def _say(text: str) -> None:
    """Print on standard error, whose own failure nobody could be told of."""
    with suppress(OSError):
        print(text, file=sys.stderr)


def _unexpected(error: Exception) -> str:
    """A defect in one line: its kind, message and place."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})"
    text = " ".join(str(error)[:_MESSAGE_CHARACTERS_MAX].split())
    return (
        f"{type(error).__name__}: {text}{where}; this is a defect of Cordbox:"
        f" {_TRACEBACK_VARIABLE}=1 shows the traceback for a report"
    )


def _keep_libraries_quiet() -> None:
    """Show no warnings of libraries, here and in processes that are started from here.

    They speak to programmers, on a user's stderr. `PYTHONWARNINGS` and `python -W` show them.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")


def exit_code_of(error: Exception) -> int | None:
    """The exit code of a refusal; None for an unexpected error."""
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
    from host.domain.printable import printable_lines
    from host.tools.refusals import faults_of

    faults = faults_of(error)
    if not _wants_json(words):
        for line in (line for fault in faults for line in fault.lines):
            _say(printable_lines(line))
        return
    first = faults[0]
    answer: dict[str, object] = {"code": first.code, "message": first.message}
    if first.facts:
        answer["details"] = dict(first.facts)
    if len(faults) > 1:
        answer["issues"] = [
            {"code": each.code, "message": each.message, "entry": each.entry} for each in faults
        ]
    tell_json_line({"error": answer})


def _report(code: str, message: str, words: Sequence[str]) -> None:
    if _wants_json(words):
        tell_json_line({"error": {"code": code, "message": message}})
    else:
        from host.domain.printable import printable_lines

        text = f"error[{code}]: {message}"
        _say(printable_lines(text))


def _wants_json(words: Sequence[str]) -> bool:
    joined = " ".join(words)
    return "--output json" in joined or "--output=json" in joined
