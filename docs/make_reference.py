"""Writes the generated pages of docs/reference from the code.

`python docs/make_reference.py` rewrites them; `--check` exits 1 when one is out of date.
"""

import dataclasses
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

from host.settings import Section
from host.settings.catalogue import Bootstrap
from host.settings.schema import takes_effect
from host.settings.section import Key
from host.settings.wording import expected

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
from operations_reference import (  # noqa: E402  # modules beside this script
    environment_page,
    findings_page,
    log_events_page,
    metrics_page,
)
from python_packages import python_packages_page  # noqa: E402
from python_reference import api_page, modules_page  # noqa: E402  # modules beside this script
from type_forms import types_page  # noqa: E402
from wrap import wrapped  # noqa: E402  # a module beside this script

REFERENCE = ROOT / "docs" / "reference"


def errors_page() -> str:
    """The registry of error codes."""
    from host.cli.error_registry import registered

    lines = [
        "# Error codes",
        "",
        "Codes are stable; messages may improve. A code is seen by",
        "",
        "- **commands**: they print `error[code]: message` (with `--output json`:",
        '  `{"error": {"code", "message"}}`) and exit with the number in the last column;',
        "- **REST**: `details.code` of the answer with that status. Absent objects are",
        "  `not-found`, and `details` has their `kind` and `id`;",
        "- **flow**: the error of a call that a flow may catch, or `flowError.code` of one that",
        "  failed ([failures](flow-engine.md#failures)). CorDapps and contracts have codes of",
        "  their own, which are not listed here;",
        "- **report**: a finding of `cordbox host check`, `cordbox audit log verify` or",
        "  `cordbox audit --policy`.",
        "",
        "The registry is in code: `host/domain/error_codes`, `cpi/error_codes.py`,",
        "`sandbox/error_codes.py`.",
        "",
        "| code | cause | what to do | seen by |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{each.code}` | {_cell(each.cause)} | {_cell(each.remedy)} | {each.seen} |"
        for each in registered().values()
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands_page() -> str:
    """Every command with its arguments and options."""
    from host.cli import _COMMANDS

    lines = [
        "# Commands",
        "",
        "Exit codes: 0 fine, 1 refused, 2 wrong usage, 75 try again later. What stands in brackets",
        "may be left out; `...` may be given several times. An option with a variable takes its",
        "value from there if it is not given.",
        "",
    ]
    for name, (module, _) in sorted(_COMMANDS.items()):
        own = module.rpartition(".")[2]
        if own != name and own in _COMMANDS:
            lines += [f"## `cordbox {name}`", "", f"Another name of `cordbox {own}`.", ""]
        else:
            lines += _command(f"cordbox {name}", import_module(module).command)
    return "\n".join(lines).rstrip() + "\n"


def _command(path: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        yield from (f"## `{path}`", "", _sentence(command.help), "")
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            found = command.get_command(context, name)
            if found is not None:
                yield from _command(f"{path} {name}", found)
        return
    context = click.Context(command)
    pieces = command.collect_usage_pieces(context)
    usage = " ".join([path, *pieces[1:], pieces[0]])
    yield from (f"### `{usage}`", "", _sentence(command.help), "")
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        yield from ("| option | meaning |", "|---|---|")
        for option in options:
            need = " (required)" if option.required else ""
            yield f"| {_names(option, context)} | {_meaning(option)}{need} |"
        yield ""


def _names(option: click.Option, context: click.Context) -> str:
    """All names of an option, the last with the form of its value; choices are in its meaning."""
    names = [*option.opts, *option.secondary_opts]
    if not option.is_flag and not isinstance(option.type, click.Choice):
        names[-1] += f" {option.make_metavar(context)}".removesuffix(" RANGE")
    return ", ".join(f"`{_sentence(name)}`" for name in names)


def _meaning(option: click.Option) -> str:
    """The help text, the choices, the default that is shown on the command line, the variable."""
    parts = [_sentence(option.help).rstrip(".")] if option.help else []
    if isinstance(option.type, click.Choice):
        parts.append("one of " + ", ".join(f"`{choice}`" for choice in option.type.choices))
    if isinstance(option.type, click.IntRange):
        low, high = option.type.min, option.type.max
        parts.append(f"at least {low}" if high is None else f"from {low} to {high}")
    if option.show_default and option.default is not None and not option.is_flag:
        parts.append(f"default `{option.default}`")
    if isinstance(option.envvar, str):
        parts.append(f"variable `{option.envvar}`")
    return "; ".join(parts)


def settings_page() -> str:
    """Every setting of the host: bootstrap settings, and each section with its keys."""
    from host.runtime.plugin_loading import SETTING_PLUGINS, declared_settings
    from host.settings.catalogue import Catalogue
    from host.settings.variables import OTHER_VARIABLES

    catalogue = Catalogue(declared_settings(SETTING_PLUGINS, with_entry_points=False))
    lines = ["# Settings of the host", "", _paragraphs(import_module("host.settings").__doc__), ""]
    lines += ["## Bootstrap settings", "", "| setting | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {_default(each)} | {_sentence(each.meaning)} |"
        for name, each in catalogue.bootstrap.items()
    ]
    for section in catalogue.sections.values():
        lines += ["", *_section(section)]
    lines += ["", "## Other variables", "", "Any other that begins with `CORDBOX_` is refused.", ""]
    lines += ["| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in OTHER_VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _section(section: Section[Any]) -> Iterator[str]:
    yield from (f"## Section `{section.name}`", "", f"Schema version {section.version}.", "")
    yield "| key | setting | default | limits | takes effect | meaning |"
    yield "|---|---|---|---|---|---|"
    for key in section.keys.values():
        limits = _sentence(expected(key.hint).removeprefix("a whole number "))
        yield (
            f"| `{key.name}` | `{key.setting}` | {_default(key)} | {limits} | {takes_effect(key)} |"
            f" {_sentence(key.meaning)} |"
        )


def _default(setting: Bootstrap | Key) -> str:
    if setting.default is dataclasses.MISSING:
        return "required"
    if not setting.has_fixed_default:
        return "depends on the machine"
    value = setting.default
    return "none" if value is None else f"`{json.dumps(msgspec.to_builtins(value))}`"


def _paragraphs(text: str | None) -> str:
    return "\n".join(line.strip() for line in (text or "").strip().splitlines())


def _signature(hook: Callable[..., object]) -> str:
    """The signature, whose annotations are texts."""
    return str(inspect.signature(hook)).replace("'", "")


def hooks_page() -> str:
    """Every plugin hook with its signature."""
    specs = import_module("host.runtime.hookspecs")
    lines = ["# Plugin hooks", "", _sentence(specs.__doc__), ""]
    for name, member in inspect.getmembers(specs, inspect.isfunction):
        if member.__module__ == "host.runtime.hookspecs" and not name.startswith("_"):
            text = inspect.getdoc(member) or ""
            lines += [f"## `{name}{_signature(member)}`", "", text, ""]
    return "\n".join(lines).rstrip() + "\n"


def rest_page() -> str:
    """Every operation of the REST interface, and the versions without it."""
    from host.rest.app import openapi_document

    documents = {v: openapi_document(v)["paths"] for v in ("v5_1", "v5_2", "v5_3")}
    operations = {
        (path, method): operation
        for document in documents.values()
        for path, methods in document.items()
        for method, operation in methods.items()
    }
    lines = [
        "# REST interface",
        "",
        "Base path `/api/v5_2`. `/api/v5_1` and `/api/v5_3` serve the same operations, except",
        "those that a row calls *not in* one of them, as in Corda. The whole document of 5.2 is",
        "[openapi-v5_2.json](openapi-v5_2.json), also served as `/api/v5_2/swagger.json`, with",
        "Swagger UI at `/api/v5_2/swagger`. An error is",
        '`{"title", "status", "details": {"cause", "reason", "code"}}`; [the codes](errors.md).',
        "Outside `/api` stand `/isHealthy`, `/status`, `/metrics`, `/overview` (what `host status`",
        "shows) and, for each virtual node,",
        "`/nodes/<short hash>/openapi.json`: its startable flows as typed operations.",
        "",
        "- **Lists** come in pages, the latest first (members and aliases by name). `limit` is 1",
        "  to 1000, by default 100. A page that is not the last has the header",
        '  `Link: <?...&after=...>; rel="next"` and, for `after` alone, `Cordbox-Next`. A cursor',
        "  of another list is `cursor-invalid`. `GET /key/{tenantid}` has Corda's `skip` and",
        "  `take`.",
        "- **Results** are in lists of flows with `results=true` alone.",
        "- **Query keys** are case-insensitive. Those that an operation does not have are refused,",
        "  and those that stand twice and take one value. Path and query are held to 2,048 and",
        "  16,384 characters, a JSON body to 6 MiB, 64 levels and 500,000 values.",
        "- **Letter case** does not matter, as in Corda, for paths, states, statuses, categories,",
        "  orders, usages of certificates and user names. Aliases, key schemes and names of flows",
        "  keep theirs. A slash at the end of a path is ignored.",
        "- **Forms** have each part once, files as files; unexpected text parts are ignored.",
        "- **Permissions** judge the [canonical action](../decisions/0019-canonical-actions.md);",
        "  `x-same-as` in the OpenAPI document names the operation that another one does as well.",
        "",
        "| operation | what it does |",
        "|---|---|",
    ]
    for path, method in sorted(operations):
        operation = operations[path, method]
        about = _sentence(operation.get("description") or operation["summary"])
        absent = [v for v, paths in documents.items() if method not in paths.get(path, ())]
        note = f" (*not in {', not in '.join(absent)}*)" if absent else ""
        lines.append(f"| `{method.upper()} {path}` | {about}{note} |")
    return "\n".join(lines) + "\n"


def openapi_page() -> str:
    """The OpenAPI document of version 5.2, as the host serves it."""
    from host.rest.app import openapi_document

    return json.dumps(openapi_document("v5_2"), indent=1, sort_keys=True) + "\n"


def _sentence(text: object) -> str:
    return " ".join(str(text or "").replace("\b", "").split()).replace("|", "\\|")


def host_functions_page() -> str:
    """The table of host functions."""
    from sandbox.host_api import INTERFACES, OPS

    lines = [
        "# Host functions",
        "",
        "The table `sandbox/host_api.py`, from which the host reads what it does about each call.",
        "[The host API](host-api.md) tells of requests and answers.",
        "",
        "- *Writes*: a service changes something outside the flow's own state; what precedes the",
        "  call is committed first. Other calls may be made again after a crash.",
        "- *Audited*: the call is in the node's [audit log](audit-log.md), for this reason.",
        "- *Sizes*: the most that a field may hold; `payload_bytes_max` bounds every text besides.",
        "",
        "| function | answered by | granted | writes | journalled | audited | reaches | sizes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for interface in INTERFACES:
        granted = "always" if interface.always_granted else f"with `{interface.name}`"
        for each in interface.functions:
            sizes = "; ".join(
                f"`{name}` {most:,} {unit}" for name, (most, unit) in each.sizes.items()
            )
            cells = [
                f"`{each.name}`",
                each.served_by,
                granted,
                "yes" if each.writes else "",
                "yes" if each.journalled else "no",
                each.privileged or "",
                each.reaches or "",
                sizes,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## Operations",
        "",
        "Where the table has them, the operations that a function's requests tell apart by `op`;",
        "another one is `request-invalid`, before any service is asked. A *program* takes several",
        "messages: the flow waits while the host performs it.",
        "",
        "| function | `op` | effect |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {'none' if op.name is None else f'`{op.name}`'} | {op.effect} |"
        for name, ops in OPS.items()
        for op in ops.values()
    ]
    return "\n".join(lines) + "\n"


PAGES = {
    "environment.md": environment_page,
    "log-events.md": log_events_page,
    "findings.md": findings_page,
    "metrics.md": metrics_page,
    "python-api.md": api_page,
    "python-modules.md": modules_page,
    "python-types.md": types_page,
    "host-functions.md": host_functions_page,
    "errors.md": errors_page,
    "commands.md": commands_page,
    "settings.md": settings_page,
    "hooks.md": hooks_page,
    "rest.md": rest_page,
    "openapi-v5_2.json": openapi_page,
    "python-packages.md": python_packages_page,
}


def page_text(name: str) -> str:
    """A page as it stands in the folder: its lines wrapped, where it is Markdown."""
    text = PAGES[name]()
    return wrapped(text) if name.endswith(".md") else text


def main() -> None:
    check = "--check" in sys.argv
    stale = []
    for name in PAGES:
        path, text = REFERENCE / name, page_text(name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    print("\n".join(f"{'stale' if check else 'written'}: docs/reference/{n}" for n in stale))
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
