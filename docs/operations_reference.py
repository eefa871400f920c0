"""The generated pages for operators: metrics, log events, environment variables."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("host", "sandbox", "plugins")
_KINDS = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"}
PREFIXES = ("cordbox_rest", "cordbox_gateway")
"""Of metrics that several servers have."""
COLLECTED_LABELS = {
    "cordbox_build_info": ("cordbox", "python", "wasmtime"),
    "cordbox_carriage_leaving_records": ("topic",),
    "cordbox_config_version": ("section",),
    "cordbox_virtual_nodes": ("state",),
    "cordbox_file_bytes": ("file",),
    "cordbox_link_peers_failing": ("peer",),
    "cordbox_link_queue_bytes": ("peer",),
    "cordbox_link_queue_messages": ("peer",),
    "cordbox_link_queue_oldest_seconds": ("peer",),
    "cordbox_link_sessions": ("direction",),
    "cordbox_membership_registrations": ("side", "status"),
    "cordbox_queue_oldest_seconds": ("topic",),
    "cordbox_queue_records": ("topic",),
    "cordbox_relay_unsent_records": ("topic",),
    "cordbox_set_aside_keys": ("topic", "cause"),
    "cordbox_set_aside_oldest_seconds": ("topic", "cause"),
    "cordbox_set_aside_records": ("topic", "cause"),
    "cordbox_worker_restarts": ("name",),
}
"""Labels of metrics that are collected when they are asked for; tests compare them with a host."""
_LEVELS = {"debug", "info", "warning", "error", "exception"}
_EVENT = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class MetricFacts:
    """A metric family; `exported` are the names of its samples in `/metrics`."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]

    @property
    def exported(self) -> tuple[str, ...]:
        if self.kind == "counter":
            return (f"{self.name}_total",)
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


@cache
def metrics() -> Sequence[MetricFacts]:
    """All metrics of the sources, by name."""
    found = [
        facts
        for node in _calls()
        for prefix in PREFIXES
        if (facts := _metric(node, prefix)) is not None
    ]
    return tuple(sorted(set(found), key=lambda facts: facts.name))


def _calls() -> Iterator[ast.Call]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield node


def _metric(node: ast.Call, prefix: str) -> MetricFacts | None:
    match node.func:
        case ast.Name(id=kind) | ast.Attribute(attr=kind):
            pass
        case _:
            return None
    if kind not in {*_KINDS, "Metric"} or len(node.args) < 2:
        return None
    texts = [_text(arg, prefix) for arg in node.args]
    name, meaning = texts[0], texts[1]
    if not isinstance(name, str) or not name.startswith("cordbox_"):
        return None
    labels = COLLECTED_LABELS.get(name, ())
    if kind != "Metric" and len(node.args) > 2:
        labels = ast.literal_eval(node.args[2])
    return MetricFacts(name, _KINDS.get(kind) or str(texts[2]), str(meaning), tuple(labels))


def _text(node: ast.expr, prefix: str) -> object:
    """A constant, or an f-string that puts `prefix` in front of one."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.JoinedStr) and len(node.values) == 2:
        before, after = node.values
        named = isinstance(before, ast.FormattedValue) and ast.unparse(before.value) == "prefix"
        if named and isinstance(after, ast.Constant):
            return f"{prefix}{after.value}"
    return None


def metrics_page() -> str:
    """Every metric with its exported names and labels."""
    lines = [
        "# Metrics",
        "",
        "`GET /metrics` of the REST server, and of each process at `--monitor-listen`, in the text",
        "form of Prometheus. Counters are exported with the ending `_total`, histograms as",
        "`_bucket` (with the label `le`), `_count` and `_sum`. Where a host has worker processes,",
        "the REST server's `/metrics` has the samples of all, with the label `worker`, for example",
        "`flow-0`. No label has a virtual node, user or flow as its value.",
        "",
        "| exported names | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for each in metrics():
        names = ", ".join(f"`{name}`" for name in each.exported)
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| {names} | {each.kind} | {labels} | {each.meaning} |")
    lines += [
        "",
        "## Alerts",
        "",
        "The rules of [`deploy/monitoring/alerts.yaml`](../../deploy/monitoring/alerts.yaml):",
        "",
        "| alert | fires if | for | severity | what to do |",
        "|---|---|---|---|---|",
        *(_alert(rule) for rule in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]),
        "",
        "`dashboard.json` beside it is a dashboard for Grafana.",
    ]
    return "\n".join(lines) + "\n"


ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yaml"
"""Rules for Prometheus."""


def _alert(rule: dict[str, Any]) -> str:
    expression = rule["expr"].replace("|", "\\|")
    return (
        f"| `{rule['alert']}` | `{expression}` | {rule.get('for', 'at once')} |"
        f" {rule['labels']['severity']} | {rule['annotations']['description']} |"
    )


def events() -> dict[str, set[str]]:
    """The events that the sources log -> their levels."""
    from host.observe.flow_observer import LOGGED

    found: dict[str, set[str]] = {name: {level} for name, level in LOGGED.values()}
    for node in _calls():
        first = node.args[0] if node.args else None
        if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
            continue
        if _EVENT.fullmatch(first.value):
            for level in _levels(node.func):
                found.setdefault(first.value, set()).add(level)
    return dict(sorted(found.items()))


def lines_without_event() -> list[str]:
    """Calls of loggers without an event's name, and loggers of the standard library.

    Those of functions that get the event's name are left out: their callers have it.
    """
    found = []
    for node in _calls():
        first = node.args[0] if node.args else None
        is_text = isinstance(first, ast.Constant) and isinstance(first.value, str)
        is_name = is_text and _EVENT.fullmatch(first.value) is not None
        logs = "_log." in ast.unparse(node.func) and any(_levels(node.func))
        if logs and is_text and not is_name:
            found.append(ast.unparse(node))
        if ast.unparse(node.func) == "logging.getLogger" and node.args:
            found.append(ast.unparse(node))
    return found


def _levels(function: ast.expr) -> Iterator[str]:
    match function:
        case ast.IfExp(body=body, orelse=orelse):
            yield from _levels(body)
            yield from _levels(orelse)
        case ast.Attribute(value=ast.Name(id="_log"), attr=level) if level in _LEVELS:
            yield level
        case ast.Attribute(value=ast.Attribute(attr="_log"), attr=level) if level in _LEVELS:
            yield level
        case ast.Attribute(value=ast.Name(id="self"), attr="_tell"):
            yield "warning"
        case ast.Name(id="log"):  # chosen by the status of the answer
            yield from ("debug", "info")


def log_events_page() -> str:
    """Every event of the host's log."""
    from host.observe.log_events import EVENTS

    lines = [
        "# Log events",
        "",
        "The host logs one JSON object to a line, with the members `timestamp`, `level`, `logger`",
        "and `event`, and further ones of the event; `code` is an [error code](errors.md), and",
        "`flow_id`, `holding_id` (the virtual node) and `request_id` name what the line is about.",
        "",
        "| event | level | meaning |",
        "|---|---|---|",
    ]
    for event, levels in events().items():
        told = ", ".join(sorted("error" if level == "exception" else level for level in levels))
        lines.append(f"| `{event}` | {told} | {EVENTS[event]} |")
    return "\n".join(lines) + "\n"


def findings_page() -> str:
    """Every kind of finding: what needs an operator."""
    from host.observe.judgement import FINDINGS

    lines = [
        "# Findings",
        "",
        "What needs an operator: something that has stopped or gets worse, and for which there is",
        "an action. `GET /attention`, `cordbox host status` and the",
        "[console](../how-to/console.md) tell the same; a finding ends by itself when its cause",
        "does.",
        "",
        "| code | about | when | what to do |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{kind.name}` | {kind.subject} | {kind.meaning} | {kind.action} |"
        for kind in FINDINGS.values()
    ]
    return "\n".join(lines) + "\n"


def environment_page() -> str:
    """Every environment variable: of commands, and one for each setting of a host."""
    from host.cli import _COMMANDS
    from host.runtime.plugin_loading import SETTING_PLUGINS, declared_settings
    from host.settings.catalogue import Catalogue
    from host.settings.variables import OTHER_VARIABLES

    catalogue = Catalogue(declared_settings(SETTING_PLUGINS, with_entry_points=False))
    options: dict[str, list[str]] = {}
    for name, (module, _) in sorted(_COMMANDS.items()):
        for path, option in _with_variables(f"cordbox {name}", import_module(module).command):
            for variable in option.envvar if isinstance(option.envvar, list) else [option.envvar]:
                options.setdefault(str(variable), []).append(f"`{path} {option.opts[0]}`")
    lines = [
        "# Environment variables",
        "",
        "A host refuses to start with a variable that begins with `CORDBOX_` and is not listed",
        "here (`settings-invalid`, with the most similar name). An option of the command line goes",
        "before its variable.",
        "",
        "## Of commands",
        "",
        "| variable | meaning | same as the options |",
        "|---|---|---|",
    ]
    for variable in sorted({*options, *OTHER_VARIABLES}):
        if variable.removeprefix("CORDBOX_").lower() in catalogue.bootstrap:
            continue
        same = _few(sorted(set(options.get(variable, ()))))
        lines.append(f"| `{variable}` | {OTHER_VARIABLES.get(variable, '')} | {same} |")
    lines += [
        "",
        "## Of hosts",
        "",
        "`CORDBOX_` and the name of a [setting](settings.md) in upper case.",
        "",
        "| variable | setting |",
        "|---|---|",
    ]
    names = [*catalogue.bootstrap]
    names += [
        key.setting for section in catalogue.sections.values() for key in section.keys.values()
    ]
    lines += [f"| `CORDBOX_{name.upper()}` | `{name}` |" for name in names]
    return "\n".join(lines) + "\n"


def _few(options: list[str]) -> str:
    return ", ".join(options) if len(options) <= 4 else f"{', '.join(options[:3])} and others"


def _with_variables(path: str, command: click.Command) -> Iterator[tuple[str, click.Option]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            found = command.get_command(context, name)
            if found is not None:
                yield from _with_variables(f"{path} {name}", found)
    yield from (
        (path, each) for each in command.params if isinstance(each, click.Option) and each.envvar
    )
