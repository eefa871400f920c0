"""Flows that use every host function which the IOU sample leaves out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cordapp.flows import (
    ClientStartableFlow,
    CordaRuntimeError,
    EntityExistsError,
    FlowSession,
    ResponderFlow,
    SessionClosedError,
    SessionError,
    SubFlow,
    entity,
    initiated_by,
    initiating_flow,
)
from cordapp.schema import to_json


@entity(key="id")
@dataclass(frozen=True)
class Note:
    id: str
    text: str


class Services(ClientStartableFlow[None, dict[str, Any]]):
    def call(self, _request: None) -> dict[str, Any]:
        me = self.member_lookup.my_info()
        key = me.ledger_keys[0]
        others = [m.ledger_keys[0] for m in self.member_lookup.all() if m.name != me.name]
        signature = self.signing_service.sign(b"data", key)
        verify = self.signature_verification_service.verify
        context = self.flow_engine.flow_context_properties
        context.put("color", "blue")
        self.external_messaging.send("channel", "out", "m1")
        return {
            "me": me.name,
            "members": [member.name for member in self.member_lookup.all()],
            "by_key": self.member_lookup.lookup_key(key) == me,
            "notaries": self.notary_lookup.notary_services(),
            "good": verify(b"data", signature, key, "SHA256withECDSA"),
            "bad": verify(b"date", signature, key, "SHA256withECDSA"),
            "mine": self.signing_service.find_my_signing_keys([*others, key]) == [key],
            "digest": self.digest_service.hash(b""),
            "color": context.get("color"),
            "random": len(self.random.bytes(100)),
            "uuid": self.random.uuid(),
            "now": to_json(self.clock.now(), datetime),
        }


class Refused(ClientStartableFlow[str, str]):
    def call(self, what: str) -> str:
        try:
            match what:
                case "context":
                    self.flow_engine.flow_context_properties.put("corda.x", "y")
                case "key":
                    others = self.member_lookup.lookup("O=Bob, L=London, C=GB")
                    self.signing_service.sign(b"", others.ledger_keys[0])
                case "key text":
                    self.signing_service.sign(b"", "other")
                case "digest":
                    self.digest_service.hash(b"", "MD5")
                case "spec":
                    key = self.member_lookup.my_info().ledger_keys[0]
                    self.signing_service.sign(b"", key, "SHA256withRSA")
                case "random":
                    self.random.bytes(0)
                case "sleep":
                    self.flow_engine.sleep(900_001)
                case "session":
                    self.flow_messaging.initiate_flow("O=Bob, L=London, C=GB")
        except CordaRuntimeError as refused:
            return refused.code
        return "accepted"


class Notes(ClientStartableFlow[None, list[str]]):
    def call(self, _request: None) -> list[str]:
        store = self.persistence_service
        store.persist(Note("b", "1"), Note("a", "1"), dedup_id="once")
        store.persist(Note("b", "1"), Note("a", "1"), dedup_id="once")
        try:
            store.persist(Note("c", "1"), Note("a", "2"))
        except EntityExistsError:
            store.merge(Note("d", "1"), Note("a", "3"))
        store.remove(Note("b", ""))
        found = store.find(Note, "b")
        return [f"{note.id}{note.text}" for note in store.find_all(Note)] + [str(found)]


@initiating_flow(protocol="kit-echo", versions=(1, 2))
class AskAll(ClientStartableFlow[list[str], list[Any]]):
    """Asks all peers at once; `flow_context_properties` travel along."""

    def call(self, names: list[str]) -> list[Any]:
        self.flow_engine.flow_context_properties.put("color", "red")
        sessions = [self.flow_messaging.initiate_flow(name) for name in names]
        self.flow_messaging.send_all("hello", sessions)
        answers = self.flow_messaging.receive_all(str, sessions)
        versions = [s.get_counterparty_flow_info().version for s in sessions]
        for session in sessions:
            session.close()
            session.close()
        return [*answers, *versions]


@initiated_by(protocol="kit-echo", versions=(2, 3))
class Echo(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        color = self.flow_engine.flow_context_properties.get("color")
        me = self.flow_engine.virtual_node_name
        session.send(f"{session.receive(str)} {color} {me} {session.counterparty}")


@initiating_flow(protocol="kit-end")
@dataclass
class Talk(SubFlow[str]):
    """An initiating sub-flow: its session ends with it."""

    peer: str
    fails: bool

    def call(self) -> str:
        session = self.flow_messaging.initiate_flow(self.peer, require_close=False)
        session.send("x")
        if self.fails:
            raise ValueError("talk failed")
        return session.id


class EndSubFlow(ClientStartableFlow[bool, str]):
    """After the sub-flow its session is gone."""

    def call(self, fails: bool) -> str:  # the request's only value
        peer = "O=Bob, L=London, C=GB"
        try:
            session_id = self.flow_engine.sub_flow(Talk(peer, fails))
        except ValueError as failed:
            return str(failed)
        session = FlowSession(self.flow_messaging._api, session_id, peer)
        try:
            session.send("y")
        except SessionClosedError as closed:
            return closed.code
        return "open"


@initiated_by(protocol="kit-end")
class Listen(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        session.receive(str)
        try:
            session.receive(str)
        except SessionError as ended:
            self.log.warning("%s: %s", ended.code, ended.message)


@initiating_flow(protocol="kit-nobody")
class AskNobody(ClientStartableFlow[None, str]):
    def call(self, _request: None) -> str:
        session = self.flow_messaging.initiate_flow("O=Bob, L=London, C=GB")
        return session.send_and_receive(str, "anybody?")


@initiating_flow(protocol="kit-stall")
class Stall(ClientStartableFlow[None, str]):
    def call(self, _request: None) -> str:
        session = self.flow_messaging.initiate_flow("O=Bob, L=London, C=GB")
        return session.send_and_receive(str, "ping")


@initiated_by(protocol="kit-stall")
class StallToo(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        session.receive(str)
        session.receive(str)


@initiating_flow(protocol="kit-chain")
class Chain(ClientStartableFlow[None, int]):
    """The responder of this is a client of others."""

    def call(self, _request: None) -> int:
        session = self.flow_messaging.initiate_flow("O=Bob, L=London, C=GB")
        return session.send_and_receive(int, 1)


@initiated_by(protocol="kit-chain")
class Relay(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        count = session.receive(int)
        name = self.flow_engine.sub_flow(AskCharlie())
        session.send(count + len(name))


@initiating_flow(protocol="kit-echo", versions=(3,))
class AskCharlie(SubFlow[str]):
    def call(self) -> str:
        session = self.flow_messaging.initiate_flow("O=Charlie, L=London, C=GB")
        return session.send_and_receive(str, "hi")


@initiating_flow(protocol="kit-unread")
class LeaveUnread(ClientStartableFlow[None, str]):
    def call(self, _request: None) -> str:
        session = self.flow_messaging.initiate_flow("O=Bob, L=London, C=GB")
        return session.send_and_receive(str, "x")


@initiated_by(protocol="kit-unread")
class SayMore(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        session.receive(str)
        session.send("one")
        session.send("two")


@initiating_flow(protocol="kit-late")
class AskLate(ClientStartableFlow[None, str]):
    def call(self, _request: None) -> str:
        session = self.flow_messaging.initiate_flow("O=Bob, L=London, C=GB")
        return session.send_and_receive(str, "x")


@initiated_by(protocol="kit-late")
class FailLate(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        session.receive(str)
        session.send("one")
        raise ValueError("too late")
