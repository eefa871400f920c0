"""Two sides of handshakes with keys of their own, and a run of a handshake over a medium."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ed25519

from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.keys.schemes import SchemePublicKeys, digest_of, encode_public, scheme_of
from host.network.link import initiator, responder
from host.network.link.frames import Frame, split
from host.network.link.handshake import (
    VALID_MS_MAX,
    Established,
    Failed,
    Found,
    NeedPeer,
    NeedSignature,
    Own,
    Peer,
    Received,
    Send,
    SessionKey,
    Signed,
)
from host.network.link.initiator import InitiatorState, InitiatorStep, Intent
from host.network.link.protection import Mode
from host.network.link.responder import ResponderState, ResponderStep
from host.network.link.suites import Secrets

SCHEDULES = int(os.environ.get("CORDBOX_SCHEDULES", "6"))
"""How many courses of a bad network are tried: many by `make prove-link`."""
FIRST_SEED = int(os.environ.get("CORDBOX_SEED", "0"))
GROUP = "6f2c1a3e-0000-4000-8000-000000000001"
REALM = bytes(range(32))
KEYS = SchemePublicKeys()


def holding(name: str, group: str = GROUP) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group)


@dataclass
class Identity:
    """An identity with one Ed25519 session key, whose signatures are deterministic."""

    holding: HoldingIdentity
    private: ed25519.Ed25519PrivateKey

    @staticmethod
    def of(name: str, seed: int) -> "Identity":
        private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        return Identity(holding(name), private)

    @property
    def key(self) -> SessionKey:
        public = self.private.public_key()
        return SessionKey(
            pem=encode_public(public),
            spec=scheme_of(public).default_spec,
            digest=bytes.fromhex(digest_of(public)),
        )

    def own(self, **changes: object) -> Own:
        given: dict[str, object] = {
            "identity": self.holding,
            "realm": REALM,
            "key": self.key,
            "mode": Mode.ENCRYPTED,
            "software": "test",
        }
        return Own(**{**given, **changes})  # type: ignore[arg-type]

    def peer(self, **changes: object) -> Peer:
        return Peer(**{"identity": self.holding, "keys": (self.key,), **changes})  # type: ignore[arg-type]


ALICE = Identity.of("O=Alice, L=London, C=GB", 1)
BOB = Identity.of("O=Bob, L=Paris, C=FR", 2)
EVE = Identity.of("O=Eve, L=Berlin, C=DE", 3)


def secrets(number: int) -> Secrets:
    """Fixed random numbers."""
    return Secrets(
        x25519=bytes([number]) * 32,
        random=bytes([number + 1]) * 32,
        session=bytes([number + 2]) * 16,
        ml_kem=bytes([number + 3]) * 64,
    )


Edit = Callable[[int, bytes], bytes]
"""Changes message 1 to 4 on its way."""


def unchanged(number: int, message: bytes) -> bytes:
    del number
    return message


@dataclass
class Run:
    """A handshake between two sides, as far as it came."""

    initiator: InitiatorState
    responder: ResponderState | None = None
    messages: list[bytes] = field(default_factory=list)

    @property
    def both(self) -> tuple[Established, Established]:
        assert isinstance(self.initiator, Established), self.initiator
        assert isinstance(self.responder, Established), self.responder
        return self.initiator, self.responder


@dataclass
class Sides:
    """Who speaks with whom, and what each side believes of the other one."""

    alice: Identity = field(default_factory=lambda: ALICE)
    bob: Identity = field(default_factory=lambda: BOB)
    alice_own: Own = field(default_factory=ALICE.own)
    bob_own: Own | None = field(default_factory=BOB.own)
    alice_at_bob: Peer | None = field(default_factory=ALICE.peer)
    bob_at_alice: Peer = field(default_factory=BOB.peer)
    offered: tuple[int, ...] = (1,)
    supported: tuple[int, ...] = (1,)
    edit: Edit = unchanged

    def run(self) -> Run:
        begun = initiator.begin(
            Intent(
                own=self.alice_own,
                peer=self.bob_at_alice,
                peer_key=self.bob_at_alice.keys[0],
                secrets=secrets(10),
                suites=self.offered,
            )
        )
        run = Run(begun.state)
        m1 = self._carried(run, 1, begun.command)
        answered = responder.answer(m1, secrets(20), self.supported) if m1 else None
        if answered is None:
            return run
        run.responder = answered.state
        m2 = self._carried(run, 2, answered.command)
        if m2 is None:
            return run
        m3 = self._carried(run, 3, self._initiator(run, m2))
        if m3 is None:
            return run
        m4 = self._carried(run, 4, self._responder(run, m3))
        if m4 is not None:
            self._initiator(run, m4)
        return run

    def _carried(self, run: Run, number: int, command: object) -> Frame | None:
        if not isinstance(command, Send):
            return None
        run.messages.append(command.frame.encode())
        frames = split(self.edit(number, run.messages[-1]))
        return frames[0] if len(frames) == 1 else None

    def _initiator(self, run: Run, frame: Frame) -> object:
        step = InitiatorStep(run.initiator)
        given: object = Received(frame)
        while True:
            step = initiator.step(step.state, given, KEYS)  # type: ignore[arg-type]
            run.initiator = step.state
            if not isinstance(step.command, NeedSignature):
                return step.command
            given = Signed(self.alice.private.sign(step.command.data))

    def _responder(self, run: Run, frame: Frame) -> object:
        assert run.responder is not None
        step = ResponderStep(run.responder)
        given: object = Received(frame)
        while True:
            step = responder.step(step.state, given, KEYS)  # type: ignore[arg-type]
            run.responder = step.state
            match step.command:
                case NeedPeer():
                    given = Found(own=self.bob_own, peer=self.alice_at_bob, valid_ms=VALID_MS_MAX)
                case NeedSignature(data=data):
                    given = Signed(self.bob.private.sign(data))
                case _:
                    return step.command


def failure(state: object) -> str:
    assert isinstance(state, Failed), state
    return str(state.failure.value)
