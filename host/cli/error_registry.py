"""All error codes of the product with cause, remedy and who sees them: the joint registry.

The tables are `host.domain.error_codes`, `cpi.error_codes`, `sandbox.error_codes` and those of the
plugins. Of a code that an error class has, the docstring's first line is the cause, and REST status
and exit code are those that the REST server and the command line give to the class.
"""

import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from cpi.error_codes import ERROR_CODES as OF_PACKAGES
from cpi.errors import CpiError
from host.cli import EXIT_REFUSED, exit_code_of
from host.domain.error_codes import calls, ends, findings, refusals, routing, storage, tools
from host.rest.errors import STATUS_OF
from sandbox.error_codes import ERROR_CODES as OF_SANDBOXES
from sandbox.errors import RunError

PACKAGES = ("cpi", "sandbox", "host", "plugins")
_LEFT_OUT = ("sandbox.sdk", "sandbox.runtime_app", "sandbox.jail_worker")
_COMMANDS_ONLY = ("host.tools", "host.cli", "host.runtime", "plugins", "sandbox")
"""Packages whose errors end commands, or the host's start, and are never REST's answers."""
_REACH_FLOWS = (
    "host.domain.accounts",
    "host.domain.group_parameters",
    "host.domain.guest_text",
    "host.domain.x500",
    "host.entities",
    "host.guests",
    "host.keys",
    "host.network",
)
"""Packages whose errors are answers of host calls, or end flows, with the same code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCode:
    """A code.

    Attributes:
        cause: what has happened, as one sentence.
        remedy: what to do, as one sentence.
        exit_code: of commands that end with it; None if none does.
        rest_status: of REST answers; None if none has it.
        reaches_flows: whether calls of flows fail with it, or flows end with it.
        is_finding: whether it is a finding in a report.
    """

    code: str
    cause: str
    remedy: str
    exit_code: int | None = None
    rest_status: int | None = None
    reaches_flows: bool = False
    is_finding: bool = False

    @property
    def seen(self) -> str:
        """Who sees the code, in words."""
        words = (
            ("report", self.is_finding),
            (f"command (exit {self.exit_code})", self.exit_code is not None),
            (f"REST {self.rest_status}", self.rest_status is not None),
            ("flow", self.reaches_flows),
        )
        return ", ".join(word for word, applies in words if applies)


def registered() -> Mapping[str, RegisteredCode]:
    """The registry, by code.

    Raises:
        LookupError: a remedy has neither a cause nor an error class.
    """
    classes = error_classes()
    remedies = {
        **refusals.REMEDIES,
        **storage.REMEDIES,
        **tools.REMEDIES,
        **OF_SANDBOXES,
        **_of_plugins(),
    }
    found = {code: _of_class(code, remedy, classes) for code, remedy in remedies.items()}
    for code, (cause, remedy) in OF_PACKAGES.items():
        found[str(code)] = RegisteredCode(
            code=str(code),
            cause=cause,
            remedy=remedy,
            exit_code=EXIT_REFUSED,
            rest_status=STATUS_OF[CpiError],
            reaches_flows=str(code) in calls.ALSO_OF_PACKAGES,
        )
    for table in (calls.CODES, ends.CODES):
        for code, (cause, remedy) in table.items():
            found[code] = RegisteredCode(code=code, cause=cause, remedy=remedy, reaches_flows=True)
    for code, (cause, remedy) in findings.CODES.items():
        found[code] = RegisteredCode(code=code, cause=cause, remedy=remedy, is_finding=True)
    for code, (cause, remedy) in routing.COMMANDS.items():
        found[code] = RegisteredCode(code=code, cause=cause, remedy=remedy, exit_code=EXIT_REFUSED)
    for code, (status, cause, remedy) in routing.REST.items():
        found[code] = RegisteredCode(code=code, cause=cause, remedy=remedy, rest_status=status)
    return dict(sorted(found.items()))


def error_classes() -> Mapping[str, type[Exception]]:
    """The class of each code that an error class of the product declares, base classes first."""
    found: dict[str, type[Exception]] = {}
    for name in modules():
        for _, kind in inspect.getmembers(import_module(name), inspect.isclass):
            code = kind.__dict__.get("code")
            is_own = kind.__module__.partition(".")[0] in PACKAGES
            if is_own and issubclass(kind, Exception) and isinstance(code, str):
                known = found.get(code)
                if known is None or issubclass(known, kind):
                    found[code] = kind
    return found


def modules() -> Iterator[str]:
    """Names of all importable modules of the product."""
    for package in PACKAGES:
        yield package
        spec = find_spec(package)
        places = [] if spec is None else list(spec.submodule_search_locations or ())
        walked = pkgutil.walk_packages(places, prefix=f"{package}.")
        yield from (m.name for m in walked if not m.name.startswith(_LEFT_OUT))


def _of_plugins() -> Mapping[str, str]:
    """The remedies in the modules `error_codes` of plugins."""
    names = (n for n in modules() if n.startswith("plugins.") and n.endswith(".error_codes"))
    tables = (import_module(name).ERROR_CODES for name in names)
    return {code: remedy for table in tables for code, remedy in table.items()}


def _of_class(code: str, remedy: str, classes: Mapping[str, type[Exception]]) -> RegisteredCode:
    kind = classes.get(code)
    if kind is None:
        raise LookupError(f"the registry has a remedy for {code!r}, which no error class has")
    module = kind.__module__
    status = next((STATUS_OF[base] for base in kind.__mro__ if base in STATUS_OF), None)
    return RegisteredCode(
        code=code,
        cause=(inspect.getdoc(kind) or "").partition("\n")[0],
        remedy=remedy,
        exit_code=exit_code_of(kind.__new__(kind)),
        rest_status=None if module.startswith(_COMMANDS_ONLY) else status,
        reaches_flows=module.startswith(_REACH_FLOWS) or issubclass(kind, RunError),
    )
