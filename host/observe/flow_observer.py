"""Events of the flow engine as log lines and metrics."""

import dataclasses
import logging
from collections.abc import Mapping

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from host.domain.flow import FlowError, FlowStatusName
from host.flow.core.events import (
    FlowEnded,
    FlowEngineEvent,
    FlowStarted,
    GuestLogged,
    GuestRan,
    KeptDropped,
    MessageRefused,
    RecordDeadLettered,
    RecordRetried,
    RecordsExpired,
    StepCommitted,
)

_CHARACTERS_MAX = 2000
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_NUMBERS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LEVELS = {"debug": "debug", "info": "info", "warn": "warning", "error": "error"}

LOGGED: Mapping[type[FlowEngineEvent], tuple[str, str]] = {
    FlowStarted: ("flow-started", "info"),
    FlowEnded: ("flow-ended", "info"),
    GuestRan: ("guest-ran", "debug"),
    StepCommitted: ("step-committed", "debug"),
    GuestLogged: ("guest-logged", "info"),
    RecordRetried: ("record-retried", "warning"),
    RecordDeadLettered: ("record-dead-lettered", "error"),
    KeptDropped: ("kept-dropped", "warning"),
    RecordsExpired: ("records-expired", "warning"),
    MessageRefused: ("message-refused", "warning"),
}
"""Event class -> its name and level in the log. A guest's own line has the level that the guest
chose.
"""


class FlowObserver:
    """The engine's `EventSink`. Called from many threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._log = structlog.get_logger("cordbox.flow")
        self._events = Counter(
            "cordbox_flow_events", "Events of the flow engine.", ("event",), registry=registry
        )
        # Their children are kept: looking one up by its labels costs more than counting.
        self._counts = {name: self._events.labels(name) for name, _ in LOGGED.values()}
        self._ended = Counter(
            "cordbox_flows_ended", "Flows that ended, by status.", ("status",), registry=registry
        )
        for status in (s for s in FlowStatusName if s.is_final):
            self._ended.labels(status.value)
        self._seconds = Histogram(
            "cordbox_guest_run_seconds", "Duration of guest runs of flows.", registry=registry
        )
        self._commits = Histogram(
            "cordbox_step_commit_seconds",
            "Duration of the commits of flows' steps, with the wait for other writers.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )

    def __call__(self, event: FlowEngineEvent) -> None:
        """Log and count one event."""
        name, level = LOGGED[type(event)]
        self._counts[name].inc()
        match event:
            case FlowEnded(status=status):
                self._ended.labels(status.value).inc()
            case GuestRan(duration_ms=duration):
                self._seconds.observe(duration / 1000)
            case StepCommitted(seconds=seconds):
                self._commits.observe(seconds)
            case GuestLogged(level=wanted):
                level = _LEVELS.get(wanted, level)
            case _:
                pass
        if self._log.is_enabled_for(_NUMBERS[level]):
            getattr(self._log, level)(name, **_facts(event))


def _facts(event: FlowEngineEvent) -> dict[str, object]:
    """The event's fields for the log; texts of guests are truncated to a maximum length."""
    facts = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    # Guests must not set the log's own key for the severity.
    facts.pop("level", None)
    return {name: _logged(value) for name, value in facts.items()}


def _logged(value: object) -> object:
    if isinstance(value, str):
        return value[:_CHARACTERS_MAX]
    # Only if something must be converted: this runs at every step of every flow.
    if isinstance(value, FlowError):
        return {
            "type": value.type,
            "code": value.code,
            "message": _logged(value.message),
            "trace": [_logged(line) for line in value.trace],
        }
    return value
