"""Every host function, failure and limit natively, with constructors that refuse unregistered codes."""

from collections.abc import Iterator

import pytest

from host.cli.error_registry import registered
from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError
from host.domain.flow import FLOW_FAILED, FlowError
from host.flow.core.messages import SessionFailure
from host.ports.guest import GuestKilledError
from host.tools.cordapps.project import load_project
from host.tools.testkit.code import native_code
from tests.testkit.conftest import PROBE
from tests.testkit.rows import ROWS
from tests.testkit.sides import KitSide

OWN = {"FLOW_FAILED", "number-unlucky", "flow-failed"}
"""Codes of the CorDapp that the rows run, and of failures without one."""


@pytest.fixture
def given() -> Iterator[set[str]]:
    """The codes that errors, ends of flows and sessions get; an unregistered one is refused."""
    codes: set[str] = set()
    registry = set(registered())

    def checked(code: object) -> None:
        assert code in registry | OWN, f"{code!r} is in no table of host/domain/error_codes"
        codes.add(str(code))

    def patched(kind: type, method: str, found) -> None:
        original = getattr(kind, method)

        def replacement(self, *args, **kwargs):
            original(self, *args, **kwargs)
            checked(found(self))

        patch.setattr(kind, method, replacement)

    with pytest.MonkeyPatch.context() as patch:
        patched(CapabilityError, "__init__", lambda error: error.code)
        patched(GuestKilledError, "__init__", lambda error: error.code)
        patched(HostError, "__init__", lambda error: error.code)
        patched(SessionFailure, "__post_init__", lambda failure: failure.code)
        patched(
            FlowError,
            "__post_init__",
            lambda error: "flow-failed" if error.type == FLOW_FAILED else error.code,
        )
        yield codes


def test_all_that_the_engine_raises_is_registered(given: set[str]) -> None:
    side = KitSide(native_code(load_project(PROBE)))
    for row in ROWS:
        if row.starts[0][1].startswith("probe_flows."):
            side.run(row)
    assert len(given) > 25


def test_an_unregistered_code_is_refused(given: set[str]) -> None:
    with pytest.raises(AssertionError, match="never-heard-of"):
        CapabilityError("never-heard-of", "no")
    CapabilityError("sleep-too-long", "no")
    assert given == {"sleep-too-long"}
