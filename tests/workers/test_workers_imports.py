"""What each process of a host loads at its start: imports are most of the time until it is ready."""

import subprocess
import sys

import pytest

_NOBODY = (
    "asn1crypto",
    "host.network.link.service",
    "host.network.peers",
    "jinja2",
    "jsonschema",
    "plugins.toolchains",
    "rich",
    "yaml",
)
_NO_HTTP = ("fastapi", "pydantic", "pydantic_core", "starlette", "uvicorn", "host.rest.app")
NOT_FOR = {
    "host.runtime.workers.supervisor": (
        *_NOBODY,
        *_NO_HTTP,
        "cpi.archive",
        "cpi.crypto.certificate",
        "cpi.jar",
        "cryptography",
        "email",
        "importlib.metadata",
        "plugins",
        "prometheus_client",
        "sandbox.engine",
        "sqlalchemy",
        "wasmtime",
    ),
    "host.runtime.workers.fork_server": (*_NOBODY, *_NO_HTTP, "click", "cryptography.x509"),
    "host.runtime.workers.rest": (
        *_NOBODY,
        "host.flow.engine.engine",
        "host.runtime.workers.monitor",
        "pydantic.v1",
    ),
    "host.runtime.app": _NOBODY,
}
"""Module that a process starts with -> what it must not load before it is asked for something."""

_SHOW = "import sys, {}; print('\\n'.join(name for name, m in sys.modules.items() if m))"


@pytest.mark.parametrize("start", NOT_FOR)
def test_a_process_loads_nothing_that_it_does_not_use(start: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SHOW.format(start)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = done.stdout.split()
    assert start in found
    names = NOT_FOR[start]
    assert [m for m in found if any(m == n or m.startswith(f"{n}.") for n in names)] == []


def test_what_workers_are_forked_of_has_no_thread_and_no_file() -> None:
    """A thread would be missing in the forks, and they would share an open file."""
    code = (
        "import os; before = os.listdir('/proc/self/fd');"
        " import host.runtime.workers.fork_server;"
        " print(len(os.listdir('/proc/self/task')), len(os.listdir('/proc/self/fd')) - len(before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["1", "0"]


def test_no_route_of_rest_is_made_before_it_is_used() -> None:
    """FastAPI builds validators of every route's parameters and answers."""
    code = (
        "import host.runtime.workers.rest, host.rest.app as app;"
        " routes = [route for group in app._GROUPS for route in group.router.routes];"
        " print(len(routes), sum(route._is_made for route in routes))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    count, made = map(int, done.stdout.split())
    assert count > 90
    assert made == 0
