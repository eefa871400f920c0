"""Flows that do what a test asks them to, so that a table of requests reaches all of the host API.

A script is a list of steps. Each is one of

    {"call": [interface, function, request]}   the outcome is {"ok": value} or {"error": code}
    {"raise": message}                         the flow fails
    {"raise": message, "code": code}           the same, by an error that has a code

In requests, the text "@2.session" stands for that part of the outcome of step 2, "@peer" for the
session that a responder answers, "@x900" for a text of 900 characters, and "@@peer" for "@peer".
"""

import json
from dataclasses import dataclass
from typing import Any

from probe_contracts import Create, Number

from cordapp.contracts import StateAndRef
from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    FlowSession,
    ResponderFlow,
    SessionError,
    SubFlow,
    entity,
    initiated_by,
    initiating_flow,
)

Script = list[dict[str, Any]]
BOB = "O=Bob, L=London, C=GB"
_runs: list[str] = []


@entity(key="id")
@dataclass(frozen=True)
class Note:
    id: str
    text: str


class ScriptFailedError(Exception):
    pass


def play(flow: Any, script: Script, peer: str | None = None) -> list[Any]:
    outcomes: list[Any] = []
    for step in script:
        outcomes.append(_step(flow, step, outcomes, peer))
    return outcomes


def _step(flow: Any, step: dict[str, Any], outcomes: list[Any], peer: str | None) -> Any:
    if "code" in step:
        raise CordaRuntimeError(step["code"], step["raise"])
    if "raise" in step:
        raise ScriptFailedError(step["raise"])
    interface, function, request = step["call"]
    try:
        answer = flow.flow_engine._api.call(interface, function, _filled(request, outcomes, peer))
    except CordaRuntimeError as refused:
        return {"error": refused.code}
    return {"ok": answer}


def _filled(value: Any, outcomes: list[Any], peer: str | None) -> Any:
    if isinstance(value, dict):
        return {key: _filled(entry, outcomes, peer) for key, entry in value.items()}
    if isinstance(value, list):
        return [_filled(entry, outcomes, peer) for entry in value]
    if value == "@peer":
        return peer
    if isinstance(value, str) and value.startswith("@@"):
        return value[1:]
    if isinstance(value, str) and value.startswith("@x"):
        return "x" * int(value[2:])
    if isinstance(value, str) and value.startswith("@"):
        number, *path = value[1:].split(".")
        found = outcomes[int(number)]["ok"]
        for name in path:
            found = found[int(name)] if isinstance(found, list) else found[name]
        return found
    return value


@initiating_flow(protocol="probe", versions=(1, 2))
class Play(ClientStartableFlow[Script, list[Any]]):
    """Plays a script."""

    def call(self, script: Script) -> list[Any]:
        return play(self, script)


@initiated_by(protocol="probe", versions=(2, 3))
class Answer(ResponderFlow):
    """Plays the script that is the first message."""

    def call(self, session: FlowSession) -> None:
        play(self, session.receive(Script), session.id)


class PlayAlone(ClientStartableFlow[Script, list[Any]]):
    """Plays a script without a protocol."""

    def call(self, script: Script) -> list[Any]:
        return play(self, script)


class Echo(ClientStartableFlow[Any, str]):
    """Answers the request's JSON as a text."""

    def call(self, request: Any) -> str:
        return json.dumps(request)


class Text(ClientStartableFlow[str, str]):
    """Answers the text."""

    def call(self, text: str) -> str:
        return text


class Number5(ClientStartableFlow[None, int]):
    def call(self, _request: None) -> int:
        return 5


class Large(ClientStartableFlow[int, str]):
    """Answers a text of this many characters."""

    def call(self, length: int) -> str:
        return "x" * length


@initiated_by(protocol="probe-catch")
class AnswerCatch(ResponderFlow):
    """The same, for `CatchPeer`."""

    def call(self, session: FlowSession) -> None:
        play(self, session.receive(Script), session.id)


@initiated_by(protocol="probe-ask")
class AnswerAsk(ResponderFlow):
    """The same, for `Ask`."""

    def call(self, session: FlowSession) -> None:
        play(self, session.receive(Script), session.id)


@initiating_flow(protocol="probe-catch")
class CatchPeer(ClientStartableFlow[Script, str]):
    """Goes on after its peer has failed."""

    def call(self, script: Script) -> str:
        session = self.flow_messaging.initiate_flow(BOB)
        try:
            session.send_and_receive(str, script)
        except SessionError as failed:
            return f"{failed.code}: {failed.message}"
        return "answered"


@initiating_flow(protocol="probe-ask")
class Ask(ClientStartableFlow[dict[str, Any], Any]):
    """Sends a script to Bob and answers what comes back; options are those of the session."""

    def call(self, request: dict[str, Any]) -> Any:
        session = self.flow_messaging.initiate_flow(BOB, **request.get("options", {}))
        try:
            return session.send_and_receive(Any, request["script"])
        except SessionError as failed:
            if request.get("catch"):
                return [failed.code, failed.reason_code]
            raise


class Unsteady(ClientStartableFlow[None, str]):
    """Makes another call at each run, since it looks at what an earlier run has left behind.

    A sandbox forgets; so it is steady there.
    """

    def call(self, _request: None) -> str:
        _runs.append("run")
        if len(_runs) % 2:
            self.clock.now()
        self.random.bytes(1)
        self.flow_engine.sleep(1000)
        return "done"


class Stubborn(ClientStartableFlow[None, str]):
    """Tries to catch what suspends it."""

    def call(self, _request: None) -> str:
        before = self.clock.now()
        try:
            self.flow_engine.sleep(2000)
        except BaseException:  # noqa: BLE001  # that is what it tries
            return "caught"
        return str((self.clock.now() - before).total_seconds() >= 2)


class CallUngranted(ClientStartableFlow[None, str]):
    """Calls what its CPK does not ask for, and goes on."""

    def call(self, _request: None) -> str:
        try:
            self.signing_service.sign(b"", "key")
        except BaseException:  # noqa: BLE001  # that is what it tries
            return "caught"
        return "signed"


@dataclass
class Inner(SubFlow[str]):
    message: str

    def call(self) -> str:
        raise ScriptFailedError(self.message)


@initiated_by(protocol="probe-inner")
class AnswerInner(ResponderFlow):
    """Waits for a message that never comes."""

    def call(self, session: FlowSession) -> None:
        session.receive(str)
        session.receive(str)


@initiating_flow(protocol="probe-inner")
@dataclass
class InnerTalk(SubFlow[str]):
    """Fails in the middle of a session, with a code if it is given one."""

    code: str

    def call(self) -> str:
        self.flow_messaging.initiate_flow(BOB).send("first")
        if self.code:
            raise CordaRuntimeError(self.code, "in the middle")
        raise ScriptFailedError("in the middle")


class FailInTalk(ClientStartableFlow[str, None]):
    """Fails in a sub-flow that has a session open."""

    def call(self, code: str) -> None:
        self.flow_engine.sub_flow(InnerTalk(code))


class FailDeep(ClientStartableFlow[str, None]):
    """Fails in a function of a sub-flow."""

    def call(self, message: str) -> None:
        self.flow_engine.sub_flow(Inner(message))


class Issue(ClientStartableFlow[int, str]):
    """Records a number and answers how many there are."""

    def call(self, value: int) -> str:
        key = self.member_lookup.my_info().ledger_keys[0]
        builder = self.ledger_service.create_transaction_builder()
        builder.add_output_states(Number(value, key)).add_commands(Create())
        signed = builder.add_signatories(key).to_signed_transaction()
        self.ledger_service.record(signed)
        return str(len(self.ledger_service.find_unconsumed_states(Number)))


@initiating_flow("states")
class SendStates(ClientStartableFlow[int, bool]):
    """Sends a state with its reference, alone and in containers, and compares what comes back."""

    def call(self, value: int) -> bool:
        key = self.member_lookup.my_info().ledger_keys[0]
        builder = self.ledger_service.create_transaction_builder()
        builder.add_output_states(Number(value, key)).add_commands(Create())
        self.ledger_service.record(builder.add_signatories(key).to_signed_transaction())
        (found,) = self.ledger_service.find_unconsumed_states(Number)
        session = self.flow_messaging.initiate_flow(BOB)
        session.send(found)
        alone = session.receive(StateAndRef[Number])
        session.send({"all": [found, found]})
        many = session.receive(dict[str, list[StateAndRef[Number]]])
        session.send(found)
        chosen = session.receive(StateAndRef[Number] | str)
        back = [alone, *many["all"], chosen]
        return all(
            each == found and type(each) is StateAndRef and type(each.state) is Number
            for each in back
        )


@initiated_by("states")
class AnswerStates(ResponderFlow):
    """Sends back what it received, as the types that it expects."""

    def call(self, session: FlowSession) -> None:
        session.send(session.receive(StateAndRef[Number]))
        session.send(session.receive(dict[str, list[StateAndRef[Number]]]))
        session.send(session.receive(StateAndRef[Number] | str))


class Notaries(ClientStartableFlow[None, list[Any]]):
    """The notary services, and what members have told of themselves."""

    def call(self, _request: None) -> list[Any]:
        names = [notary.name for notary in self.notary_lookup.notary_services()]
        told = [member.member_context.get("ext.desk") for member in self.member_lookup.all()]
        return [names, told]


class Tick(ClientStartableFlow[int, int]):
    """Sleeps this many times for a minute."""

    def call(self, times: int) -> int:
        for number in range(times):
            self.log.info("tick %d", number)
            self.flow_engine.sleep(60_000)
        return times


@initiating_flow(protocol="probe-unfit")
class SendUnfit(ClientStartableFlow[str, None]):
    """Sends or stores what has no JSON form."""

    def call(self, where: str) -> None:
        if where == "send":
            self.flow_messaging.initiate_flow(BOB).send({"key": object()})
        builder = self.ledger_service.create_transaction_builder()
        builder.add_commands(object())  # type: ignore[arg-type]


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise LookupError(0)


_ENDS = {
    "SystemExit": lambda: SystemExit("3"),
    "GeneratorExit": GeneratorExit,
    "UnprintableError": UnprintableError,
}


class Leave(ClientStartableFlow[str, None]):
    """Ends by what is no Exception, or by one that has no text."""

    def call(self, kind: str) -> None:
        end = _ENDS[kind]()
        raise end
