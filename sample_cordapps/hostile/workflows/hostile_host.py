"""Attempts to slow, fill or stop the host, so that other nodes feel them."""

from dataclasses import dataclass
from typing import Any

from hostile_common import NoInput

from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    FlowSession,
    ResponderFlow,
    SubFlow,
    entity,
    entity_field,
    initiated_by,
    initiating_flow,
    named_query,
    parameter,
)

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Sessions:
    """How many sessions to open with its own node."""

    count: int = 100


@dataclass(frozen=True)
class Times:
    """How often to do it."""

    count: int = 100


@entity(
    key="id",
    queries=[named_query("matching", where=entity_field("text").like(parameter("pattern")))],
)
@dataclass(frozen=True)
class Haystack:
    """A long text, for a pattern that takes long to match."""

    id: str
    text: str


class NestedRequest(ClientStartableFlow[NoInput, str]):
    """Asks for an entity by JSON that is nested 3000 deep."""

    def call(self, _request: NoInput) -> str:
        nested = '{"a":' * 3000 + "1" + "}" * 3000
        return str(_host(self)("persistence", "read", nested))


class HalfCharacter(ClientStartableFlow[NoInput, str]):
    """Fails with a message that holds half a character."""

    def call(self, _request: NoInput) -> str:
        raise CordaRuntimeError("half-character", "lost \ud83d half")


class LongFailure(ClientStartableFlow[NoInput, str]):
    """Fails with a message of 3 MB, which status, history and log would keep."""

    def call(self, _request: NoInput) -> str:
        raise CordaRuntimeError("long-failure", "m" * 3_000_000)


@initiating_flow("hostile-chat")
@dataclass(frozen=True)
class _Quarrel(SubFlow[str]):
    count: int

    def call(self) -> str:
        me = self.flow_engine.virtual_node_name
        sessions = [self.flow_messaging.initiate_flow(me) for _ in range(self.count)]
        self.flow_messaging.send_all("x", sessions)
        raise CordaRuntimeError("quarrel", "q" * (4 * _MIB - 1000))


@initiated_by("hostile-chat")
class Listener(ResponderFlow):
    """Waits for more until its peer fails."""

    def call(self, session: FlowSession) -> None:
        session.receive(str)
        session.receive(str)


class FailToMany(ClientStartableFlow[Sessions, str]):
    """Opens many sessions and fails them all with one text of 4 MiB."""

    def call(self, request_body: Sessions) -> str:
        return self.flow_engine.sub_flow(_Quarrel(request_body.count))


@initiating_flow("hostile-worm")
@dataclass(frozen=True)
class _Spread(SubFlow[str]):
    count: int

    def call(self) -> str:
        me = self.flow_engine.virtual_node_name
        sessions = [self.flow_messaging.initiate_flow(me) for _ in range(self.count)]
        self.flow_messaging.send_all(self.count, sessions)
        return "spread"


@initiated_by("hostile-worm")
class Worm(ResponderFlow):
    """Does to its own node what was done to it, for ever."""

    def call(self, session: FlowSession) -> None:
        count = session.receive(int)
        self.flow_engine.sub_flow(_Spread(count))


class Breed(ClientStartableFlow[Sessions, str]):
    """Starts responders that start responders, without end."""

    def call(self, request_body: Sessions) -> str:
        return self.flow_engine.sub_flow(_Spread(request_body.count))


class SlowPattern(ClientStartableFlow[NoInput, str]):
    """Matches a pattern of 4,000 characters with a text of 1,000,000."""

    def call(self, _request: NoInput) -> str:
        if self.persistence_service.find(Haystack, "1") is None:
            self.persistence_service.merge(Haystack("1", "a" * 1_000_000))
        query = self.persistence_service.query("matching", Haystack)
        query.set_parameter("pattern", "%" + "a" * 4000 + "b")
        return str(len(query.execute().results))


class ExternalFlood(ClientStartableFlow[Times, str]):
    """Sends messages of 4 MB to systems outside, each to another channel."""

    def call(self, request_body: Times) -> str:
        for number in range(request_body.count):
            self.external_messaging.send(f"flood-{number % 4}", "x" * 4_000_000)
        return "sent"


class EmptyWrites(ClientStartableFlow[Times, str]):
    """Writes no entities, again and again: each call is a transaction of the host."""

    def call(self, request_body: Times) -> str:
        write = '{"op":"persist","entities":[],"dedupId":null}'
        for _ in range(request_body.count):
            _host(self)("persistence", "write", write)
        return "written"


class ShortSleeps(ClientStartableFlow[Times, str]):
    """Sleeps for a millisecond, again and again: each is two steps of the engine."""

    def call(self, request_body: Times) -> str:
        for _ in range(request_body.count):
            self.flow_engine.sleep(1)
        return "rested"


class HeavySleep(ClientStartableFlow[NoInput, str]):
    """Fills 110 MB and sleeps for ten seconds, so that a parked guest would keep them."""

    def call(self, _request: NoInput) -> str:
        held = [bytearray(_MIB) for _ in range(110)]
        self.flow_engine.sleep(10_000)
        return str(len(held))


class HugeResult(ClientStartableFlow[NoInput, str]):
    """Answers almost 4 MiB of text, which grows sixfold as JSON."""

    def call(self, _request: NoInput) -> str:
        return '"' + "\\u0001" * 690_000 + '"'


class HeavyJournal(ClientStartableFlow[NoInput, str]):
    """Has the host answer 60 MB, which its journal keeps, and sleeps with them."""

    def call(self, _request: NoInput) -> str:
        if self.persistence_service.find(Haystack, "1") is None:
            self.persistence_service.merge(Haystack("1", "a" * 1_000_000))
        keys = '{"op":"find","type":"hostile_host.Haystack","keys":["1","1","1"]}'
        for _ in range(20):
            _host(self)("persistence", "read", keys)
        self.flow_engine.sleep(5_000)
        return "slept"


class WideInit(ClientStartableFlow[Sessions, str]):
    """Sends one byte a thousand times, each with all that opens the session."""

    def call(self, request_body: Sessions) -> str:
        host = _host(self)
        versions = ",".join("1" * 300 for _ in range(100))
        enter = '{"op":"enter","flow":"wide","protocol":"hostile-chat","versions":['
        host("flow", "sub-flow", enter + versions + "]}")
        session = self.flow_messaging.initiate_flow(self.flow_engine.virtual_node_name)
        for _ in range(request_body.count):
            self.flow_messaging.send_all("x", [session] * 1000)
        return "sent"


class Tiny(ClientStartableFlow[NoInput, str]):
    """Does nothing: a thousand of them fill whatever is kept of ended flows."""

    def call(self, _request: NoInput) -> str:
        return "done"


def _host(flow: Any) -> Any:
    """The host's functions as they are: interface, function, JSON text."""
    return flow.flow_engine._api._host  # noqa: SLF001  # hostile on purpose
