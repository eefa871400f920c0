"""Packages: only what the MGM and each member signed, never back, and no two lists (claim S10)."""

import random
from collections.abc import Callable

import msgspec
import pytest

from host.network.membership.package import (
    GroupForkError,
    ListState,
    Opened,
    PackageGapError,
    PackageRefusedError,
    from_parts,
    open_package,
    to_parts,
)
from host.network.values.messages import PART_BYTES_MAX, Package, SignedParameters
from tests.network.member_lists import PUBLIC_KEYS, Key, ListOfMgm

ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))
EMPTY = ListState(members={})


def _list() -> ListOfMgm:
    """Alice at version 1, Bob at 2, Charlie at 3."""
    found = ListOfMgm()
    for name in (ALICE, BOB, CHARLIE):
        found.add({name: found.member(name)})
    return found


def _open(mgm: ListOfMgm, package: Package, have: ListState = EMPTY) -> Opened:
    opened = open_package(
        package,
        have,
        mgm.signer,
        PUBLIC_KEYS,
        known={digest: each.name for digest, each in mgm.members.items()} if have.version else {},
    )
    assert opened is not None
    return opened


def _state(mgm: ListOfMgm, version: int) -> ListState:
    listed = {e.name: e.digest for e in mgm.entries if e.version <= version}
    return ListState(version=version, head_hash=mgm.heads[version - 1].hash, members=listed)


def test_everything_and_each_delta_lead_to_the_newest_version() -> None:
    mgm = _list()

    for version in range(3):
        have = _state(mgm, version) if version else EMPTY
        assert _open(mgm, mgm.package(version), have).state == _state(mgm, 3)


def test_a_list_of_a_thousand_members_comes_in_any_order() -> None:
    """Packages overtake one another, come twice and are lost; the list never goes back."""
    chance, mgm, key = random.Random(2026), ListOfMgm(), Key()
    names = [f"O=Member {number}, L=London, C=GB" for number in range(1_000)]
    packages = list[Package]()
    for begin in range(0, len(names), 50):
        mgm.add({name: mgm.member(name, key=key) for name in names[begin : begin + 50]})
        after = chance.choice((0, max(0, len(mgm.heads) - 1), chance.randrange(len(mgm.heads))))
        packages += [mgm.package(after)] * chance.choice((0, 1, 2))
    chance.shuffle(packages)

    have, gaps = EMPTY, 0
    for package in packages:
        try:
            opened = _opened(package, have, mgm)
        except PackageGapError:
            gaps += 1
            continue
        if opened is not None:
            assert opened.state.version > have.version
            have = opened.state
        assert have == _state(mgm, have.version)
    assert gaps > 0
    if have.version < len(mgm.heads):  # what a member that is behind gets when it asks
        asked = _opened(mgm.package(have.version), have, mgm)
        assert asked is not None
        have = asked.state
    assert (have.version, set(have.members)) == (20, set(names))


def _opened(package: Package, have: ListState, mgm: ListOfMgm) -> Opened | None:
    """As a member does, which has checked the information that it has."""
    known = {digest: name for name, digest in have.members.items()}
    return open_package(package, have, mgm.signer, PUBLIC_KEYS, known=known)


def test_older_package_changes_nothing() -> None:
    mgm = _list()
    old = mgm.package(0)
    mgm.add({ALICE: mgm.member(ALICE, serial=2)})

    assert open_package(old, _state(mgm, 4), mgm.signer, PUBLIC_KEYS, known={}) is None


def test_package_beyond_the_next_version_is_a_gap() -> None:
    mgm = _list()

    with pytest.raises(PackageGapError):
        _open(mgm, mgm.package(2), _state(mgm, 1))


def test_two_lists_for_one_version_are_noticed() -> None:
    mgm = _list()
    other = ListOfMgm(mgm.key)
    for name in (BOB, ALICE, CHARLIE):
        other.add({name: other.member(name)})
    other.add({ALICE: other.member(ALICE, serial=2)})

    for after in (2, 3):
        with pytest.raises(GroupForkError):
            _open(other, other.package(after), _state(mgm, 3))


def _with_head(mgm: ListOfMgm, **changes: object) -> Package:
    return msgspec.structs.replace(mgm.package(0), heads=(mgm.head(3, **changes),))


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _change_member(mgm: ListOfMgm, **changes: bytes) -> Package:
    whole = mgm.package(0)
    changed = msgspec.structs.replace(whole.members[0], **changes)
    return msgspec.structs.replace(whole, members=(changed, *whole.members[1:]))


def _foreign_member(mgm: ListOfMgm) -> Package:
    """The MGM lists a member whose own signature is not by the key of its context."""
    genuine, forged = mgm.member(ALICE), mgm.member(ALICE)
    mixed = msgspec.structs.replace(genuine, member_signature=forged.member_signature)
    mgm.add({ALICE: mixed})
    return mgm.package(0)


def _misnamed_member(mgm: ListOfMgm) -> Package:
    mgm.add({ALICE: mgm.member(BOB, serial=2)})
    return mgm.package(0)


def _other_group(mgm: ListOfMgm) -> Package:
    other = ListOfMgm(mgm.key, group_id="83d48afa-ebb3-4ae3-91c7-3615e6f86f50")
    other.add({ALICE: other.member(ALICE)})
    return other.package(0)


def _other_parameters(mgm: ListOfMgm) -> Package:
    damaged = SignedParameters(
        content=mgm.parameters.content, signature=_flip(mgm.parameters.signature), at=1
    )
    return msgspec.structs.replace(mgm.package(0), parameters=(damaged,))


_TAMPERED: dict[str, Callable[[ListOfMgm], Package]] = {
    "no head": lambda mgm: msgspec.structs.replace(mgm.package(0), heads=()),
    "head of another key": lambda _: _signed_by_another(),
    "head's bytes": lambda mgm: msgspec.structs.replace(
        mgm.package(0),
        heads=(msgspec.structs.replace(mgm.heads[-1], content=mgm.heads[0].content),),
    ),
    "root": lambda mgm: _with_head(mgm, root="00" * 32),
    "number of members": lambda mgm: _with_head(mgm, members=2),
    "parameters of another hash": lambda mgm: _with_head(mgm, parameters="SHA-256:00"),
    "no parameters": lambda mgm: msgspec.structs.replace(mgm.package(0), parameters=()),
    "parameters' signature": _other_parameters,
    "entry left out": lambda mgm: msgspec.structs.replace(
        mgm.package(0), entries=mgm.package(0).entries[1:]
    ),
    "information left out": lambda mgm: msgspec.structs.replace(
        mgm.package(0), members=mgm.package(0).members[1:]
    ),
    "member's context": lambda mgm: _change_member(mgm, member_context=b"{}"),
    "member's signature": lambda mgm: _change_member(
        mgm, member_signature=_flip(mgm.package(0).members[0].member_signature)
    ),
    "MGM's context": lambda mgm: _change_member(
        mgm, mgm_context=b'{"corda.serial":"9","corda.status":"ACTIVE"}'
    ),
    "MGM's signature": lambda mgm: _change_member(
        mgm, mgm_signature=_flip(mgm.package(0).members[0].mgm_signature)
    ),
    "member that did not sign": _foreign_member,
    "another member's information": _misnamed_member,
    "another group": _other_group,
}


def _signed_by_another() -> Package:
    other = ListOfMgm(Key())
    other.add({ALICE: other.member(ALICE)})
    return other.package(0)


@pytest.mark.parametrize("what", _TAMPERED)
def test_tampered_package_is_refused(what: str) -> None:
    mgm = _list()
    package = _TAMPERED[what](mgm)

    with pytest.raises(PackageRefusedError):
        open_package(package, EMPTY, mgm.signer, PUBLIC_KEYS, known={})


def test_missing_version_in_between_is_refused() -> None:
    mgm = _list()
    mgm.add({ALICE: mgm.member(ALICE, serial=2)})
    holed = msgspec.structs.replace(mgm.package(1), heads=(mgm.heads[1], mgm.heads[3]))

    with pytest.raises(PackageRefusedError):
        _open(mgm, holed, _state(mgm, 1))


def test_parts_give_the_package_and_are_bounded() -> None:
    mgm = _list()
    package = mgm.package(0)
    parts = to_parts(package, "p")

    assert from_parts(parts) == package
    assert all(len(part.data) <= PART_BYTES_MAX for part in parts)
    for damaged in ([], [msgspec.structs.replace(parts[0], data=_flip(parts[0].data[:-1]))]):
        with pytest.raises(PackageRefusedError):
            from_parts(damaged)
