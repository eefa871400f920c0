"""The smallest CorDapp: one flow that greets."""

from dataclasses import dataclass

from cordapp.flows import ClientStartableFlow


@dataclass(frozen=True)
class HelloRequest:
    name: str


@dataclass(frozen=True)
class HelloResult:
    greeting: str


class Hello(ClientStartableFlow[HelloRequest, HelloResult]):
    """Greets `name` in the name of the virtual node that runs the flow."""

    def call(self, request_body: HelloRequest) -> HelloResult:
        me = self.flow_engine.virtual_node_name
        self.log.info("greeting %s", request_body.name)
        return HelloResult(greeting=f"Hello {request_body.name}, this is {me}")
