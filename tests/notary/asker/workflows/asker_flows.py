"""Flows that speak to a notary as any CorDapp could, and one that pretends to be a notary."""

from dataclasses import dataclass
from typing import Any

from cordapp.flows import (
    ClientStartableFlow,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)

NON_VALIDATING = "com.r3.corda.notary.plugin.nonvalidating"


@dataclass(frozen=True)
class Question:
    """A request as it is sent, and to whom."""

    notary: str
    payload: Any


@initiating_flow(protocol=NON_VALIDATING, versions=(1,))
class Ask(ClientStartableFlow[Question, Any]):
    """Sends a request and answers what the notary says."""

    def call(self, question: Question) -> Any:
        session = self.flow_messaging.initiate_flow(question.notary)
        session.send(question.payload)
        answer: Any = session.receive(dict[str, Any])
        session.close()
        return answer


@initiated_by(protocol=NON_VALIDATING, versions=(1,))
class Pretend(ResponderFlow):
    """Serves as a notary does, also on a node that is none; members of Paris may not ask."""

    def call(self, session: FlowSession) -> None:
        if "L=Paris" in session.counterparty:
            raise ValueError("this notary does not serve Paris")
        self.notary_service.serve(session)
