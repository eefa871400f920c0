"""A CorDapp that does whatever its client asks: the guest's side of the walls' tests."""

from dataclasses import dataclass
from typing import Any

from cordapp.flows import (
    ClientStartableFlow,
    FlowSession,
    ResponderFlow,
    entity,
    initiated_by,
    initiating_flow,
)
from cordapp.schema import dumps

SEEN: list[str] = []
"""State of the module, as a careless CorDapp would keep it."""


@entity(key="id")
@dataclass(frozen=True)
class Secret:
    id: str
    content: str


@dataclass(frozen=True)
class ProbeRequest:
    code: str


@initiating_flow("probe")
class Probe(ClientStartableFlow[ProbeRequest, str]):
    """Executes `code`, which sees `flow`, `Secret` and `SEEN`, and answers its `result` as JSON."""

    def call(self, request_body: ProbeRequest) -> str:
        names: dict[str, Any] = {"flow": self, "Secret": Secret, "SEEN": SEEN}
        exec(request_body.code, names)  # what this CorDapp is for
        return dumps(names.get("result"))


@initiated_by("probe")
class Answer(ResponderFlow):
    """Answers its node's name."""

    def call(self, session: FlowSession) -> None:
        session.receive(str)
        session.send(self.flow_engine.virtual_node_name)
