"""Attempts to drown the host in calls and data."""

from hostile_common import NoInput
from hostile_steal import Loot

from cordapp.flows import ClientStartableFlow

_MIB = 1024 * 1024


class LogFlood(ClientStartableFlow[NoInput, str]):
    """Writes log lines for ever. The log limit must stop it: `log-limit`."""

    def call(self, _request: NoInput) -> str:
        while True:
            self.log.info("x" * 1000)


class HostCallFlood(ClientStartableFlow[NoInput, str]):
    """Calls the host for ever. The limit on calls must stop it: `too-many-host-calls`."""

    def call(self, _request: NoInput) -> str:
        while True:
            self.clock.now()


class OversizedResult(ClientStartableFlow[NoInput, str]):
    """Returns 18 MiB. The payload limit must stop it: `payload-too-large`."""

    def call(self, _request: NoInput) -> str:
        return "x" * (18 * _MIB)


class OversizedRequest(ClientStartableFlow[NoInput, str]):
    """Stores 18 MiB by one call. The payload limit must stop it: `payload-too-large`."""

    def call(self, _request: NoInput) -> str:
        self.persistence_service.persist(Loot("1", "x" * (18 * _MIB)))
        return "stored"


class OversizedError(ClientStartableFlow[NoInput, str]):
    """Fails with a message of 18 MiB. The SDK cuts it to 8192 characters."""

    def call(self, _request: NoInput) -> str:
        raise ValueError("x" * (18 * _MIB))


class BrokenText(ClientStartableFlow[NoInput, str]):
    """Returns a text that is no Unicode. The boundary must refuse it."""

    def call(self, _request: NoInput) -> str:
        return "\ud800"
