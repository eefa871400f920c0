"""The responder of a handshake: the side that will receive over the session. Pure."""

import hmac
from dataclasses import dataclass, replace
from typing import TypeAlias

from host.network.link import suites as key_agreement
from host.network.link.frames import VERSION, Frame, Kind, encode_body, plain
from host.network.link.handshake import (
    DIGEST_BYTES,
    SIGNED_BY_INITIATOR,
    SIGNED_BY_RESPONDER,
    Agreed,
    Command,
    Established,
    Failed,
    Failure,
    Found,
    HandshakeError,
    InitiatorHello,
    InitiatorStatement,
    Input,
    NeedPeer,
    NeedSignature,
    Own,
    Peer,
    Proof,
    Received,
    ResponderHello,
    ResponderStatement,
    Send,
    Signed,
    agreed_size,
    check_peer,
    check_statement,
    require,
)
from host.network.link.handshake_messages import body_of, check_frame, fin_of, open_sealed, seal
from host.network.link.initiator import is_signed
from host.network.link.key_schedule import (
    NO_KEYS,
    HandshakeKeys,
    handshake_keys,
    session_keys,
    transcript,
)
from host.network.link.suites import KeyAgreementError, Secrets
from host.ports.public_keys import PublicKeys

_LIST_MAX = 16
"""Entries of the lists in a hello."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Both hellos, and the keys that follow from them."""

    session: bytes
    asked: InitiatorHello
    suite: int
    m1: bytes
    m2: bytes
    keys: HandshakeKeys


@dataclass(frozen=True, slots=True)
class HelloAnswered:
    hello: Hello


@dataclass(frozen=True, slots=True)
class Verifying:
    hello: Hello
    proof: Proof
    said: InitiatorStatement
    p3: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    hello: Hello
    p3: bytes
    statement: bytes
    agreed: Agreed
    """All but the keys, which depend on the signature."""


ResponderState: TypeAlias = HelloAnswered | Verifying | Answering | Established | Failed


@dataclass(frozen=True, slots=True)
class ResponderStep:
    """The state after an input, and at most one thing to do.

    The session must be stored before the last message is sent.
    """

    state: ResponderState
    command: Command | None = None


def answer(frame: Frame, secrets: Secrets, supported: tuple[int, ...]) -> ResponderStep:
    """Answer a handshake's first message.

    Args:
        frame: the message.
        secrets: of this handshake alone.
        supported: suites of this side, the preferred one first.
    """
    try:
        check_frame(frame, Kind.INITIATOR_HELLO, frame.header.session)
        asked = read_hello(frame)
        require(VERSION in asked.versions, Failure.VERSION)
        suite = next((suite for suite in supported if suite in asked.suites), None)
        if suite is None:
            raise HandshakeError(Failure.FORM, "no common suite")  # noqa: TRY301
        share, secret = _respond(secrets, suite, asked.share)
    except HandshakeError as exc:
        return ResponderStep(exc.failed)
    body = ResponderHello(version=VERSION, suite=suite, share=share, random=secrets.random)
    answered = plain(Kind.RESPONDER_HELLO, frame.header.session, body)
    m1, m2 = frame.encode(), answered.encode()
    hello = Hello(
        session=frame.header.session,
        asked=asked,
        suite=suite,
        m1=m1,
        m2=m2,
        keys=handshake_keys(m1, m2, secret),
    )
    return ResponderStep(HelloAnswered(hello), Send(answered))


def read_hello(frame: Frame) -> InitiatorHello:
    """The content of a handshake's first message.

    Raises:
        HandshakeError: it is malformed.
    """
    asked = body_of(frame.body, InitiatorHello)
    lists = (asked.versions, asked.suites, asked.modes)
    require(all(0 < len(entries) <= _LIST_MAX for entries in lists), Failure.FORM)
    digests = (asked.random, asked.realm, asked.key)
    require(all(len(digest) == DIGEST_BYTES for digest in digests), Failure.FORM)
    require(len(asked.share) == key_agreement.share_bytes(asked.suites), Failure.FORM)
    return asked


def step(state: ResponderState, given: Input, keys: PublicKeys) -> ResponderStep:
    """The transition; an input that the state does not expect ends the handshake.

    Args:
        state: that is not over.
        given: what has happened.
        keys: verifies signatures.
    """
    try:
        match state, given:
            case HelloAnswered(hello), Received(frame):
                check_frame(frame, Kind.INITIATOR_HANDSHAKE, hello.session)
                return _read(hello, *open_sealed(hello.keys.initiator, frame))
            case Verifying(), Found():
                return _verified(state, given, keys)
            case Answering(), Signed(signature):
                return _signed(state, signature)
            case _:
                return ResponderStep(Failed(Failure.FORM, type(given).__name__))
    except HandshakeError as exc:
        return ResponderStep(exc.failed)


def _read(hello: Hello, proof: Proof, p3: bytes) -> ResponderStep:
    said = body_of(proof.statement, InitiatorStatement)
    check_statement(said)
    found = (said.realm, said.key)
    require(found == (hello.asked.realm, hello.asked.key), Failure.OTHER_REALM_OR_KEY)
    return ResponderStep(
        Verifying(hello, proof, said, p3),
        NeedPeer(realm=said.realm, own_key=said.peer_key, peer_key=said.key),
    )


def _verified(state: Verifying, found: Found, keys: PublicKeys) -> ResponderStep:
    """Check the initiator's proof, in the protocol's order."""
    hello, proof, said = state.hello, state.proof, state.said
    own, peer = found.own, found.peer
    if own is None or (own.key.digest, own.realm) != (said.peer_key, said.realm):
        raise HandshakeError(Failure.OWN_KEY_UNKNOWN)
    key = None if peer is None else peer.key(said.key)
    if peer is None or key is None:
        raise HandshakeError(Failure.PEER_KEY_UNKNOWN)
    signed = SIGNED_BY_INITIATOR + transcript(hello.m1, hello.m2, proof.statement)
    require(is_signed(keys, key, signed, proof.signature), Failure.SIGNATURE)
    fin = fin_of(hello.keys.initiator, hello.m1, hello.m2, proof.statement, proof.signature)
    require(hmac.compare_digest(fin, proof.fin), Failure.FINISHED)
    require(said.modes == hello.asked.modes and own.mode in said.modes, Failure.MODE)
    check_peer(own, peer, key, said.location_epoch, said.certificates)
    size = agreed_size(own, said.max_message)
    return _answering(state, own, peer, size, found.valid_ms)


def _answering(state: Verifying, own: Own, peer: Peer, size: int, valid_ms: int) -> ResponderStep:
    hello, said = state.hello, state.said
    statement = encode_body(
        ResponderStatement(
            key=own.key.digest,
            peer_key=said.key,
            realm=own.realm,
            mode=own.mode.value,
            max_message=own.max_message,
            list_version=own.list_version,
            head_hash=own.head_hash,
            location_epoch=own.location_epoch,
            software=own.software,
            certificates=own.certificates,
            valid_ms=valid_ms,
        )
    )
    agreed = Agreed(
        keys=NO_KEYS,
        suite=hello.suite,
        mode=own.mode,
        own=own.identity,
        peer=peer.identity,
        own_key=own.key.digest,
        peer_key=said.key,
        realm=own.realm,
        max_message=size,
        peer_list_version=said.list_version,
        peer_head_hash=said.head_hash,
        peer_location_epoch=said.location_epoch,
        peer_software=said.software,
        valid_ms=valid_ms,
    )
    data = SIGNED_BY_RESPONDER + transcript(hello.m1, hello.m2, state.p3, statement)
    return ResponderStep(
        Answering(hello=hello, p3=state.p3, statement=statement, agreed=agreed),
        NeedSignature(own.identity, own.key, data),
    )


def _signed(state: Answering, signature: bytes) -> ResponderStep:
    hello = state.hello
    side = hello.keys.responder
    fin = fin_of(side, hello.m1, hello.m2, state.p3, state.statement, signature)
    proof = Proof(statement=state.statement, signature=signature, fin=fin)
    frame, p4 = seal(side, Kind.RESPONDER_HANDSHAKE, hello.session, proof)
    keys = session_keys(hello.keys.derived, hello.m1, hello.m2, state.p3, p4)
    return ResponderStep(Established(replace(state.agreed, keys=keys)), Send(frame))


def _respond(secrets: Secrets, suite: int, share: bytes) -> tuple[bytes, bytes]:
    try:
        return key_agreement.respond(secrets, suite, share)
    except KeyAgreementError as exc:
        raise HandshakeError(Failure.KEY_SHARE, str(exc)) from exc
