"""The handshake: agreement, every check, and that no change on the way goes unnoticed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.keys.schemes import SCHEMES, PublicKey, scheme_of, sign_with
from host.network.link.frames import FramesUnreadableError
from host.network.link.handshake import Established, Failed
from host.network.link.protection import Mode
from host.network.link.suites import Secrets
from tests.network.handshakes import ALICE, BOB, EVE, SCHEDULES, Identity, Sides, failure


@pytest.mark.parametrize("suites", [(1,), (2, 1)])
def test_both_sides_agree(suites: tuple[int, ...]) -> None:
    alice, bob = Sides(offered=suites, supported=suites).run().both

    assert alice.agreed.suite == bob.agreed.suite == suites[0]
    assert (alice.agreed.own, alice.agreed.peer) == (ALICE.holding, BOB.holding)
    assert (bob.agreed.own, bob.agreed.peer) == (BOB.holding, ALICE.holding)
    assert alice.agreed.keys == bob.agreed.keys
    assert len({alice.agreed.keys.data_key, alice.agreed.keys.ack_key}) == 2
    assert (alice.agreed.own_key, alice.agreed.peer_key) == (ALICE.key.digest, BOB.key.digest)
    assert (alice.agreed.mode, alice.agreed.max_message) == (
        bob.agreed.mode,
        bob.agreed.max_message,
    )


class SchemeKey:
    """A session key of any scheme."""

    def __init__(self, scheme: str) -> None:
        self._private = SCHEMES[scheme].generate()

    def public_key(self) -> PublicKey:
        return self._private.public_key()

    def sign(self, data: bytes) -> bytes:
        return sign_with(self._private, data, scheme_of(self.public_key()).default_spec)


@pytest.mark.parametrize(
    "scheme", ["CORDA.RSA", "CORDA.ECDSA.SECP256R1", "CORDA.ECDSA.SECP256K1", "CORDA.EDDSA.ED25519"]
)
def test_session_keys_of_every_scheme_prove_both_sides(scheme: str) -> None:
    alice, bob = (Identity(each.holding, SchemeKey(scheme)) for each in (ALICE, BOB))  # type: ignore[arg-type]
    sides = Sides(
        alice=alice,
        bob=bob,
        alice_own=alice.own(),
        bob_own=bob.own(),
        alice_at_bob=alice.peer(),
        bob_at_alice=bob.peer(),
    )
    at_alice, at_bob = sides.run().both
    assert at_alice.agreed.keys == at_bob.agreed.keys

    other = Identity(ALICE.holding, SchemeKey(scheme))  # type: ignore[arg-type]
    forged = replace(sides, alice=other).run()
    assert failure(forged.responder) == "signature"


def test_the_responders_choice_of_suites_holds() -> None:
    alice, bob = Sides(offered=(2, 1), supported=(1,)).run().both

    assert alice.agreed.suite == bob.agreed.suite == 1


def test_the_smaller_maximum_of_messages_is_agreed_on() -> None:
    alice, bob = Sides(bob_own=BOB.own(max_message=20_000)).run().both

    assert alice.agreed.max_message == bob.agreed.max_message == 20_000


def test_lists_are_told() -> None:
    alice, bob = (
        Sides(
            alice_own=ALICE.own(list_version=3, head_hash=b"a" * 32),
            bob_own=BOB.own(list_version=4, head_hash=b"b" * 32),
        )
        .run()
        .both
    )

    assert (alice.agreed.peer_list_version, alice.agreed.peer_head_hash) == (4, b"b" * 32)
    assert (bob.agreed.peer_list_version, bob.agreed.peer_head_hash) == (3, b"a" * 32)


RESPONDER_REFUSES: dict[str, tuple[Callable[[], Sides], str]] = {
    "no such identity here": (lambda: Sides(bob_own=None), "own-key-unknown"),
    "another key here": (lambda: Sides(bob_own=EVE.own()), "own-key-unknown"),
    "another realm here": (lambda: Sides(bob_own=BOB.own(realm=b"r" * 32)), "own-key-unknown"),
    "unknown member": (lambda: Sides(alice_at_bob=None), "peer-key-unknown"),
    "member with another key": (lambda: Sides(alice_at_bob=EVE.peer()), "peer-key-unknown"),
    "signed by another key": (lambda: Sides(alice=EVE), "signature"),
    "other mode": (lambda: Sides(bob_own=BOB.own(mode=Mode.AUTHENTICATED)), "mode"),
    "stale location": (
        lambda: Sides(alice_at_bob=ALICE.peer(location_epoch=1)),
        "stale-location",
    ),
    "newer location": (lambda: Sides(alice_own=ALICE.own(location_epoch=1)), "newer-location"),
    "certificates where none are": (
        lambda: Sides(alice_own=ALICE.own(certificates=(b"c",))),
        "certificates",
    ),
    "no certificates where some are": (
        lambda: Sides(bob_own=BOB.own(certificate_check=lambda *_: "missing")),
        "certificates",
    ),
    "too small messages": (lambda: Sides(alice_own=ALICE.own(max_message=9_999)), "size"),
}


@pytest.mark.parametrize("case", RESPONDER_REFUSES)
def test_the_responder_refuses(case: str) -> None:
    sides, code = RESPONDER_REFUSES[case]

    run = sides().run()

    assert failure(run.responder) == code
    assert isinstance(run.responder, Failed)
    assert run.responder.refusal == "refused"
    assert not isinstance(run.initiator, Established)


INITIATOR_REFUSES: dict[str, tuple[Callable[[], Sides], str]] = {
    "signed by another key": (lambda: Sides(bob=EVE), "signature"),
    "stale location": (lambda: Sides(bob_at_alice=BOB.peer(location_epoch=1)), "stale-location"),
    "newer location": (lambda: Sides(bob_own=BOB.own(location_epoch=1)), "newer-location"),
    "certificates where none are": (
        lambda: Sides(bob_own=BOB.own(certificates=(b"c",))),
        "certificates",
    ),
    "too small messages": (lambda: Sides(bob_own=BOB.own(max_message=1)), "size"),
}


@pytest.mark.parametrize("case", INITIATOR_REFUSES)
def test_the_initiator_refuses(case: str) -> None:
    sides, code = INITIATOR_REFUSES[case]

    assert failure(sides().run().initiator) == code


def test_an_mgm_may_be_at_a_location_that_is_not_in_the_list_yet() -> None:
    peer = BOB.peer(location_epoch=1, is_mgm=True)

    assert Sides(bob_own=BOB.own(location_epoch=2), bob_at_alice=peer).run().both


def test_a_thief_of_a_key_cannot_speak_to_its_owner_as_another_member() -> None:
    # Eve has Alice's session key, and answers as Bob: her signature is not Bob's.
    assert failure(Sides(bob=ALICE).run().initiator) == "signature"


def test_a_message_is_not_accepted_from_its_receiver() -> None:
    """A reflected handshake: Alice's own messages, played back to her."""
    run = Sides(bob_at_alice=ALICE.peer(), bob_own=BOB.own(), bob=ALICE).run()

    assert not isinstance(run.initiator, Established)


def _flip(at: int, index: int, bit: int) -> Callable[[int, bytes], bytes]:
    def edit(number: int, message: bytes) -> bytes:
        if number != at:
            return message
        index_ = index % len(message)
        changed = message[index_] ^ (1 << bit)
        return message[:index_] + bytes([changed]) + message[index_ + 1 :]

    return edit


@given(
    at=st.integers(1, 4),
    index=st.integers(0, 2000),
    bit=st.integers(0, 7),
    suites=st.sampled_from([(1,), (2, 1)]),
)
@settings(max_examples=10 * SCHEDULES, deadline=None)
def test_no_change_of_a_message_goes_unnoticed(
    at: int, index: int, bit: int, suites: tuple[int, ...]
) -> None:
    try:
        run = Sides(offered=suites, supported=suites, edit=_flip(at, index, bit)).run()
    except FramesUnreadableError:
        return  # refused before the handshake saw it
    if len(run.messages) < at:
        raise AssertionError(run)

    assert not isinstance(run.initiator, Established)
    if at < 4:
        assert not isinstance(run.responder, Established)


@given(suites=st.lists(st.integers(-1, 3), max_size=3), versions=st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_an_offer_that_was_edited_is_not_agreed_on(suites: list[int], versions: int) -> None:
    """An adversary who leaves out the stronger suite is noticed."""
    import msgspec

    from host.network.link.frames import Header, decode_body, encode_body, split
    from host.network.link.handshake import InitiatorHello

    def edit(number: int, message: bytes) -> bytes:
        if number != 1:
            return message
        frame = split(message)[0]
        hello = decode_body(frame.body, InitiatorHello)
        edited: Any = msgspec.structs.replace(
            hello, suites=tuple(suites), versions=(versions,), share=hello.share[:32]
        )
        body = encode_body(edited)
        header = replace(frame.header, length=len(body))
        assert isinstance(header, Header)
        return header.encode() + body

    run = Sides(offered=(2, 1), supported=(2, 1), edit=edit).run()

    assert not isinstance(run.initiator, Established)
    assert not isinstance(run.responder, Established)


def test_a_side_makes_the_keys_of_its_secrets_once() -> None:
    secrets = Secrets(x25519=bytes(range(32)), random=bytes(32), ml_kem=bytes(range(64)))
    assert secrets.x25519_key() is secrets.x25519_key()
    assert secrets.ml_kem_key() is secrets.ml_kem_key()
    same = Secrets(x25519=bytes(range(32)), random=bytes(32), ml_kem=bytes(range(64)))
    assert secrets == same
    assert same.x25519_key() is not secrets.x25519_key()
