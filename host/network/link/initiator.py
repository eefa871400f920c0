"""The initiator of a handshake: the side that will send over the session. Pure."""

import hmac
from dataclasses import dataclass
from typing import TypeAlias

from host.domain.errors import InvalidInputError
from host.network.link import suites as key_agreement
from host.network.link.frames import VERSION, Kind, encode_body, plain
from host.network.link.handshake import (
    DIGEST_BYTES,
    SIGNED_BY_INITIATOR,
    SIGNED_BY_RESPONDER,
    Agreed,
    Command,
    Established,
    Failed,
    Failure,
    HandshakeError,
    InitiatorHello,
    InitiatorStatement,
    Input,
    NeedSignature,
    Own,
    Peer,
    Proof,
    Received,
    ResponderHello,
    ResponderStatement,
    Send,
    SessionKey,
    Signed,
    agreed_size,
    check_peer,
    check_statement,
    require,
)
from host.network.link.handshake_messages import body_of, check_frame, fin_of, open_sealed, seal
from host.network.link.key_schedule import (
    HandshakeKeys,
    handshake_keys,
    session_keys,
    transcript,
)
from host.network.link.limits import VALID_MS_MAX
from host.network.link.suites import KeyAgreementError, Secrets
from host.ports.public_keys import PublicKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Whom a handshake is with, and how. `peer_key` is the key that the peer must prove."""

    own: Own
    peer: Peer
    peer_key: SessionKey
    secrets: Secrets
    suites: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HelloSent:
    intent: Intent
    m1: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    intent: Intent
    m1: bytes
    m2: bytes
    suite: int
    keys: HandshakeKeys
    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeSent:
    intent: Intent
    m1: bytes
    m2: bytes
    suite: int
    keys: HandshakeKeys
    p3: bytes


InitiatorState: TypeAlias = HelloSent | Signing | HandshakeSent | Established | Failed


@dataclass(frozen=True, slots=True)
class InitiatorStep:
    """The state after an input, and at most one thing to do."""

    state: InitiatorState
    command: Command | None = None


def begin(intent: Intent) -> InitiatorStep:
    """The first message."""
    hello = InitiatorHello(
        versions=(VERSION,),
        suites=intent.suites,
        modes=(intent.own.mode.value,),
        share=key_agreement.initiator_share(intent.secrets, intent.suites),
        random=intent.secrets.random,
        realm=intent.own.realm,
        key=intent.own.key.digest,
    )
    frame = plain(Kind.INITIATOR_HELLO, intent.secrets.session, hello)
    return InitiatorStep(HelloSent(intent, frame.encode()), Send(frame))


def step(state: InitiatorState, given: Input, keys: PublicKeys) -> InitiatorStep:
    """The transition; an input that the state does not expect ends the handshake.

    Args:
        state: that is not over.
        given: what has happened.
        keys: verifies signatures.
    """
    try:
        match state, given:
            case HelloSent(), Received(frame):
                check_frame(frame, Kind.RESPONDER_HELLO, state.intent.secrets.session)
                return _answered(state, frame.encode(), body_of(frame.body, ResponderHello))
            case Signing(), Signed(signature):
                return _signed(state, signature)
            case HandshakeSent(), Received(frame):
                check_frame(frame, Kind.RESPONDER_HANDSHAKE, state.intent.secrets.session)
                return InitiatorStep(
                    _conclude(state, *open_sealed(state.keys.responder, frame), keys)
                )
            case _:
                return InitiatorStep(Failed(Failure.FORM, type(given).__name__))
    except HandshakeError as exc:
        return InitiatorStep(exc.failed)


def _answered(state: HelloSent, m2: bytes, hello: ResponderHello) -> InitiatorStep:
    intent = state.intent
    require(hello.version == VERSION, Failure.VERSION)
    require(hello.suite in intent.suites, Failure.FORM, f"suite {hello.suite}")
    require(len(hello.random) == DIGEST_BYTES, Failure.FORM)
    try:
        secret = key_agreement.conclude(intent.secrets, hello.suite, hello.share)
    except KeyAgreementError as exc:
        raise HandshakeError(Failure.KEY_SHARE, str(exc)) from exc
    own = intent.own
    statement = encode_body(
        InitiatorStatement(
            key=own.key.digest,
            peer_key=intent.peer_key.digest,
            realm=own.realm,
            modes=(own.mode.value,),
            max_message=own.max_message,
            list_version=own.list_version,
            head_hash=own.head_hash,
            location_epoch=own.location_epoch,
            software=own.software,
            certificates=own.certificates,
        )
    )
    data = SIGNED_BY_INITIATOR + transcript(state.m1, m2, statement)
    return InitiatorStep(
        Signing(
            intent=intent,
            m1=state.m1,
            m2=m2,
            suite=hello.suite,
            keys=handshake_keys(state.m1, m2, secret),
            statement=statement,
        ),
        NeedSignature(own.identity, own.key, data),
    )


def _signed(state: Signing, signature: bytes) -> InitiatorStep:
    fin = fin_of(state.keys.initiator, state.m1, state.m2, state.statement, signature)
    proof = Proof(statement=state.statement, signature=signature, fin=fin)
    session = state.intent.secrets.session
    frame, p3 = seal(state.keys.initiator, Kind.INITIATOR_HANDSHAKE, session, proof)
    sent = HandshakeSent(
        intent=state.intent, m1=state.m1, m2=state.m2, suite=state.suite, keys=state.keys, p3=p3
    )
    return InitiatorStep(sent, Send(frame))


def _conclude(state: HandshakeSent, proof: Proof, p4: bytes, keys: PublicKeys) -> Established:
    """Check the responder's proof, in the protocol's order."""
    own, peer, key = state.intent.own, state.intent.peer, state.intent.peer_key
    said = body_of(proof.statement, ResponderStatement)
    check_statement(said)
    require(0 < said.valid_ms <= VALID_MS_MAX, Failure.FORM, "valid_ms")
    found = (said.realm, said.key, said.peer_key)
    require(found == (own.realm, key.digest, own.key.digest), Failure.OTHER_REALM_OR_KEY)
    signed = SIGNED_BY_RESPONDER + transcript(state.m1, state.m2, state.p3, proof.statement)
    require(is_signed(keys, key, signed, proof.signature), Failure.SIGNATURE)
    fin = fin_of(
        state.keys.responder, state.m1, state.m2, state.p3, proof.statement, proof.signature
    )
    require(hmac.compare_digest(fin, proof.fin), Failure.FINISHED)
    require(said.mode == own.mode.value, Failure.MODE)
    check_peer(own, peer, key, said.location_epoch, said.certificates)
    return Established(
        Agreed(
            keys=session_keys(state.keys.derived, state.m1, state.m2, state.p3, p4),
            suite=state.suite,
            mode=own.mode,
            own=own.identity,
            peer=peer.identity,
            own_key=own.key.digest,
            peer_key=key.digest,
            realm=own.realm,
            max_message=agreed_size(own, said.max_message),
            peer_list_version=said.list_version,
            peer_head_hash=said.head_hash,
            peer_location_epoch=said.location_epoch,
            peer_software=said.software,
            valid_ms=said.valid_ms,
        )
    )


def is_signed(keys: PublicKeys, key: SessionKey, data: bytes, signature: bytes) -> bool:
    """Whether a key has signed; a key or a spec that cannot be used has not."""
    try:
        return keys.verify(key.pem, data, signature, key.spec)
    except (InvalidInputError, ValueError):
        return False
