import io
import json
import logging
from pathlib import Path

import pytest
import structlog

from host.domain.flow import FlowError, FlowStatusName
from host.flow.core import events
from host.observe.flow_observer import LOGGED, FlowObserver
from host.observe.logs import configure_logging


@pytest.fixture
def lines():
    stream = io.StringIO()
    configure_logging(level="debug", form="json", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def fail_with(secret):
    raise ValueError("it broke")


def test_each_event_is_one_line_with_time_and_level(lines):
    structlog.get_logger("x").info("done", count=3)
    logging.getLogger("other").warning("%s is odd", "this")
    ours, theirs = lines()
    assert (ours["event"], ours["level"], ours["count"]) == ("done", "info", 3)
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"]) == ("this is odd", "warning")


@pytest.mark.parametrize("buffering", [1, 1 << 16])
def test_a_full_disk_under_the_log_stops_nobody_who_logs(buffering):
    full = Path("/dev/full").open("w", buffering=buffering)  # noqa: SIM115  # its end fails, too
    configure_logging(level="debug", form="json", stream=full)
    structlog.get_logger("x").info("done", text="x" * 100_000)
    logging.getLogger("other").warning("%s is odd", "this")
    with pytest.raises(OSError, match="No space left"):
        full.close()


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_show_no_local_variables(form):
    stream = io.StringIO()
    configure_logging(level="info", form=form, stream=stream)
    password = "hunter2"
    try:
        fail_with(password)
    except ValueError:
        structlog.get_logger("x").exception("failed")
        logging.getLogger("y").exception("failed too")
    assert "it broke" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_every_event_of_the_flow_engine_is_logged_and_counted(lines):
    from prometheus_client import CollectorRegistry

    kinds = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and kind.__module__ == "host.flow.core.events"
    }
    assert kinds == set(LOGGED)
    registry = CollectorRegistry()
    observe = FlowObserver(registry)
    observe(
        events.FlowEnded(
            flow_id="f",
            holding_id="A" * 12,
            flow_class="demo.Any",
            request_id="r",
            status=FlowStatusName.FAILED,
            error=FlowError(type="out-of-fuel", message="m"),
        )
    )
    observe(
        events.GuestLogged(
            flow_id="f", holding_id="A" * 12, level="warn", logger="demo", message="x" * 9000
        )
    )
    ended, logged = lines()
    assert (ended["event"], ended["status"], ended["level"]) == ("flow-ended", "FAILED", "info")
    assert (logged["level"], len(logged["message"])) == ("warning", 2000)
    assert registry.get_sample_value("cordbox_flows_ended_total", {"status": "FAILED"}) == 1
