"""What a build says of declarations that cannot work: a line each, at the right line of the file.

A source says in a comment what is expected of its line: `# ! part of a problem`, `# ? of a warning`.
"""

import importlib
import json
import sys
from itertools import count
from textwrap import dedent

import pytest

from cordapp import guest, registry
from cordapp.registry import DeclarationError

KINDS = (
    registry.CONTRACTS,
    registry.STATES,
    registry.CONSENSUAL_STATES,
    registry.COMMANDS,
    registry.FLOWS,
    registry.ENTITIES,
)
HEAD = """\
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, Flag
from typing import Annotated, Any, Callable, Generic, TypeVar
from uuid import UUID
from cordapp.contracts import (
    Command, Contract, ContractState, PublicKey, StateAndRef, belongs_to, require,
)
from cordapp.flows import (
    ClientStartableFlow, Flow, FlowSession, ResponderFlow, SubFlow, entity, initiated_by,
    initiating_flow,
)
T = TypeVar("T")

class Rules(Contract):
    def verify(self, transaction):
        pass
"""
_number = count()


@pytest.fixture
def describe(tmp_path, monkeypatch):
    """`describe` of a module of this source alone: its name, problems and warnings."""
    saved = [dict(kind) for kind in KINDS]
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(source):
        name = f"checked_{next(_number)}"
        (tmp_path / f"{name}.py").write_text(HEAD + dedent(source))
        for kind in KINDS:
            kind.clear()
        importlib.import_module(name)
        try:
            return name, [], json.loads(guest.describe())["warnings"]
        except DeclarationError as exc:
            return name, str(exc).split("\n"), []

    yield run
    for kind, before in zip(KINDS, saved, strict=True):
        kind.clear()
        kind.update(before)
    for name in [n for n in sys.modules if n.startswith("checked_")]:
        del sys.modules[name]


def expected(source, mark):
    """Line and text of each mark, in the file with its head."""
    lines = (HEAD + dedent(source)).splitlines()
    for line, text in enumerate(lines, 1):
        for part in text.split(f"# {mark} ")[1:]:
            yield line, part.strip()


def agree(source, name, found, mark):
    wanted = list(expected(source, mark))
    assert [n for n, _ in wanted] == sorted(int(line.split(":")[1]) for line in found), found
    for line, text in wanted:
        assert any(f.startswith(f"{name}.py:{line}: ") and text in f for f in found), (text, found)


TYPES = """
    class Perms(Flag):
        R = 1

    @dataclass(frozen=True)
    class Inner:
        fine: UUID
        wrong: complex  # ! Inner.wrong: complex has no JSON form

    @dataclass(frozen=True)
    class Box(Generic[T]):
        item: T

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class Wrong(ContractState):
        participants: list[PublicKey]
        inner: Inner | None
        perms: Perms  # ! Perms: a combination of flags
        items: list  # ! Wrong.items: list has no JSON form: say what it contains
        keys: dict[float, str]  # ! a key is str, int, an enum
        elements: set[list[int]]  # ! elements of a set have to be hashable
        box: Box  # ! Box is generic: name its parameters
        call: Callable[[], int]  # ! Wrong.call:
        low: Annotated[int, {"minimun": 1}]  # ! 'minimun' is no keyword
        text: Annotated[str, {"minimum": 1}]  # ! minimum has no meaning for str
        count: int = "5"  # ! Wrong.count: the default: expected an integer, found '5'

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class Renamed(ContractState):
        participants: list[PublicKey]
        number: int = field(metadata={"json": 5})  # ! Renamed.number: metadata `json` is the field's

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class Misspelt(ContractState):
        participants: list[PublicKey]
        amount: "list[Decimall]"  # ! Misspelt.amount: name 'Decimall' is not defined

    class Undecorated(Command):
        amount: int  # ! Undecorated.amount: write @dataclass(frozen=True) above

    @dataclass(frozen=True)
    class Made(Command):
        amount: InitVar[int]  # ! Made.amount: an InitVar has no value
"""
STATES = """
    class Empty(Contract):  # ! has no verify method, and states belong to it
        pass

    class Late(Contract):
        async def verify(self, transaction):  # ! Late.verify: is async, and nothing awaits it
            pass

    class Lazy(Contract):
        def verify(self, transaction):  # ! Lazy.verify: has a yield, so that calling it runs nothing
            yield

    class Short(Contract):
        def __init__(self, limit):  # ! needs a constructor without arguments
            pass
        def verify(self):  # ! write def verify(self, transaction)
            pass

    @dataclass(frozen=True)
    class Owned(ContractState):
        owner: PublicKey

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class Fine(Owned):
        @property
        def participants(self) -> list[PublicKey]:
            return [self.owner]

    @belongs_to(Empty)
    @dataclass(frozen=True)
    class Lone(ContractState):  # ! Lone: a state has participants
        a: int

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class Method(ContractState):
        def participants(self):  # ! is a method, where a state has participants
            return []

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class One(ContractState):
        participants: PublicKey  # ! One.participants: is no list

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class Key(ContractState):
        @property
        def participants(self) -> PublicKey:  # ! Key.participants: is one key
            return ""

    @belongs_to(int)
    @dataclass(frozen=True)
    class Foreign(ContractState):  # ! which is no Contract
        participants: tuple[PublicKey, ...]

    @dataclass(frozen=True)
    class Stray(ContractState):  # ! belongs to no contract: add @belongs_to
        participants: tuple[PublicKey, ...]
"""
FLOWS = """
    class NoBody(ClientStartableFlow[str, str]):
        def call(self):  # ! NoBody.call: is called with other arguments: write def call(self, request_body)
            return ""

    class Async(ClientStartableFlow[str, str]):
        async def call(self, request_body: str) -> str:  # ! Async.call: is async
            return ""

    class Typed(ClientStartableFlow):
        def call(self, body: complex) -> object:  # ! Typed.call: complex has no JSON form
            return ""

    class Result(ClientStartableFlow):
        def call(self, body: str) -> set[dict[str, int]]:  # ! elements of a set
            return ""

    class Unknown(ClientStartableFlow):
        def call(self, body: "Nowhere") -> str:  # ! a type of call is not known when it runs
            return ""

    @initiated_by("p")
    class Generator(ResponderFlow):
        def call(self, session):  # ! has a yield
            yield

    class Alone(ResponderFlow):  # ! needs @initiated_by
        def call(self, session):
            pass

    @initiated_by("q", versions=[0])
    class Zero(ResponderFlow):  # ! versions are different whole numbers from 1 on, not (0,)
        def call(self, session, more):  # ! write def call(self, session)
            pass

    @initiated_by("twice")
    class First(ResponderFlow):
        def call(self, session):
            pass

    @initiated_by("twice")
    class Second(ResponderFlow):  # ! protocol 'twice' version 1 has two responders
        def call(self, session):
            pass

    class Needy(ClientStartableFlow):
        def __init__(self, size):  # ! needs a constructor without arguments
            pass
        def call(self, request_body: str) -> str:
            return ""

    class Sub(SubFlow[int]):
        def __init__(self, size):
            pass
        def call(self, size):  # ! write def call(self)
            return size

    class Idle(SubFlow[int]):  # ! Idle: has no call method, so that it is no flow
        pass

    class Unset(SubFlow[int]):
        call = None  # ! Unset.call: is no method

    class Field(ClientStartableFlow):
        call = property(lambda self: 3)  # ! Field.call: is no method

    class Bare(Flow):  # ! derives from Flow itself
        def call(self, request_body):
            pass

    @entity("name")
    class Plain:  # ! an entity is a dataclass
        name: str

    @entity(["id", "other"])
    @dataclass(frozen=True)
    class Keyless:  # ! the key 'other' is no field of it
        id: float  # ! a key is a text or a whole number, not float
        when: Sequence  # ! Keyless.when:
"""
MESSAGES = """
    @dataclass(frozen=True)
    class Offer:
        amount: Decimal

    @dataclass(frozen=True)
    class Bad:
        value: object
        part: bytearray

    def helper() -> Offer:
        return Offer(Decimal(1))

    def untyped():
        return 1

    class Ask(SubFlow[Offer]):
        def call(self) -> Offer:
            return helper()

    @initiating_flow("p")
    class Send(ClientStartableFlow):
        def call(self, request_body: str) -> str:
            session = self.flow_messaging.initiate_flow(request_body)
            session.send(Offer(Decimal(1)))
            session.send(helper())
            session.send([Offer(Decimal(1)), "x", request_body])
            session.send(self.flow_engine.sub_flow(Ask()))
            session.send(Bad(1, b""))  # ! Bad.part: bytearray has no JSON form
            session.send(untyped())  # ? the type of what is sent cannot be found out
            session.send(complex(1))  # ! a message: complex has no JSON form
            answer = session.receive(Offer | Bad)  # ! Bad.part: bytearray
            session.send_and_receive(list, answer.amount)  # ! list has no JSON form: say what
            kind = [Offer][0]
            session.receive(kind)  # ? the type of what is received cannot be found out
            session.receive(StateAndRef[Fine])
            session.receive()  # ! what is received has no type: write the class itself
            session.receive("Offer")  # ! what is received has no type: write the class itself
            session.receive(*[Offer])  # ? the type of what is received cannot be found out
            for each in self.flow_messaging.receive_all(Offer, [session]):
                session.send(each.amount)
            session.send(self.member_lookup.my_info().name)
            session.send(f"{answer}")
            return ""

    @belongs_to(Rules)
    @dataclass(frozen=True)
    class Fine(ContractState):
        participants: list[PublicKey]

    @initiated_by("p")
    class Take(ResponderFlow):
        def call(self, session: FlowSession) -> None:
            session.send(session.receive(Offer))
            session.receive(tuple[Offer, complex])  # ! complex has no JSON form
            self.external_messaging.send("channel", "text")
"""


CALLS = """
    class Wrong(ClientStartableFlow[complex, str]):
        def call(self, request_body):  # ! Wrong.call: complex has no JSON form
            return ""

    class Half(ClientStartableFlow[int, bytearray]):
        def call(self, request_body: int):  # ! Half.call: bytearray has no JSON form
            return ""

    class Absent(ClientStartableFlow["Nowhere", str]):
        def call(self, request_body):  # ! a type of call is not known when it runs
            return ""

    class Base(ClientStartableFlow[list[T], T]):
        def call(self, request_body):  # ! Filled.call: complex has # ! dataclass for it (the result)
            return ""

    class Filled(Base[complex]):
        pass

    class Sum(SubFlow[complex]):
        def call(self):
            return 1j

    class Sends(ClientStartableFlow[str, str]):
        def call(self, request_body):
            session = self.flow_messaging.initiate_flow(request_body)
            session.send(self.flow_engine.sub_flow(Sum()))  # ! complex has no JSON form
            return ""
"""
UNSURE = """
    class Any1(ClientStartableFlow):
        def call(self, request_body) -> Any:  # ? Any1.call: takes any JSON value
            return ""

    class Any2(ClientStartableFlow[Any, Any]):
        def call(self, request_body):
            return ""

    class Any3(ClientStartableFlow):
        def call(self, request_body: str):  # ? Any3.call: gives any JSON value
            return ""

    class Two(ClientStartableFlow[str, int]):
        def call(self, request_body: Decimal) -> int:  # ? takes Decimal, and the class says str
            return 1

    class More(ClientStartableFlow[str, int]):
        def call(self, request_body, times: int = 1):
            return 1
"""


@pytest.mark.parametrize("source", [TYPES, STATES, FLOWS, MESSAGES, CALLS])
def test_each_mistake_is_a_line_with_its_place(describe, source):
    name, problems, _ = describe(source)
    agree(source, name, problems, "!")


SIDES = """
    @initiating_flow("shop")
    class Ask(ClientStartableFlow[str, str]):  # ? no responder here speaks 'shop', and no initiator 'shopp'
        def call(self, request_body):
            return ""

    @initiated_by("shopp")
    class Answer(ResponderFlow):
        def call(self, session):
            pass

    @initiating_flow("talk", versions=[2, 3])
    class Newer(ClientStartableFlow[str, str]):  # ? no responder here speaks version 2 # ? speaks version 3
        def call(self, request_body):
            return ""

    @initiated_by("talk")
    class Older(ResponderFlow):
        def call(self, session):
            pass

    @initiating_flow("same", versions=[1, 2])
    class First(ClientStartableFlow[str, str]):
        def call(self, request_body):
            return ""

    @initiated_by("same")
    class Second(ResponderFlow):
        def call(self, session):
            pass
"""
DECORATED = {
    "@initiating_flow(None)\nclass A(ClientStartableFlow[str, str]):\n    pass": (
        "@initiating_flow: a protocol is a text, not None"
    ),
    "@belongs_to\n@dataclass(frozen=True)\nclass A(ContractState):\n    a: int": (
        r"\.A: write @belongs_to\(TheContract\) above"
    ),
    "@initiating_flow\nclass A(ClientStartableFlow[str, str]):\n    def call(self, body): ...": (
        r'\.A: write @initiating_flow\("the-protocol"\) above'
    ),
    "@initiated_by\nclass A(ResponderFlow):\n    def call(self, session): ...": (
        r'\.A: write @initiated_by\("the-protocol"\) above'
    ),
    "@entity\n@dataclass(frozen=True)\nclass A:\n    a: int": (
        r'\.A: write @entity\("the-key"\) above'
    ),
    "@initiating_flow('p', versions=1)\nclass A(ClientStartableFlow[str, str]):\n    pass": (
        r"@initiating_flow: versions is a sequence such as \(1,\), not 1"
    ),
    "@initiated_by('p')\nclass A(ClientStartableFlow[str, str]):\n    def call(self, body): ...": (
        "A is no ResponderFlow: write @initiating_flow, not @initiated_by"
    ),
    "@initiating_flow('p')\nclass A(ResponderFlow):\n    def call(self, session): ...": (
        "A is a responder: write @initiated_by, not @initiating_flow"
    ),
}


@pytest.mark.parametrize("source", DECORATED)
def test_a_decorator_that_is_written_wrongly_says_how_to_write_it(describe, source):
    with pytest.raises(DeclarationError, match=DECORATED[source]):
        describe(source)


@pytest.mark.parametrize("lines", [MESSAGES, UNSURE, SIDES])
def test_what_is_not_known_is_a_warning(describe, lines):
    source = "\n".join(line for line in lines.splitlines() if "# ! " not in line)
    name, problems, warnings = describe(source)
    assert problems == []
    agree(source, name, warnings, "?")
