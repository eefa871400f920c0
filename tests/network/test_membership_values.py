"""Values of membership: contexts, signed texts, heads and messages."""

import hashlib

import pytest

from host.domain.ids import EpochMs
from host.network.values import contexts
from host.network.values.contexts import encode_context, read_context
from host.network.values.errors import ContextInvalidError, MembershipMessageInvalidError
from host.network.values.head import Head, encode_head, merkle_root, read_head, root_of
from host.network.values.messages import (
    MembershipIn,
    MembershipOutcome,
    PackagePart,
    Register,
    StatusUpdate,
    encode_message,
    encode_record,
    read_message,
    read_record,
    registration_text,
)
from host.network.values.signed import Purpose, signed_text

# Leaves and roots of the tests of Certificate Transparency (github.com/google/certificate-
# transparency, cpp/merkletree/merkle_tree_test.cc), the origin of RFC 6962.
_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_roots_are_those_of_certificate_transparency() -> None:
    found = [merkle_root(_LEAVES[:n]).hex() for n in range(1, 9)]

    assert found == _ROOTS
    assert merkle_root([]) == hashlib.sha256(b"").digest()


def test_root_tells_names_and_digests_apart() -> None:
    one = {"O=A, L=London, C=GB": b"x" * 32, "O=B, L=London, C=GB": b"y" * 32}
    swapped = {"O=A, L=London, C=GB": b"y" * 32, "O=B, L=London, C=GB": b"x" * 32}

    assert root_of(one) == root_of(dict(reversed(one.items())))
    assert root_of(one) != root_of(swapped)


def test_signed_texts_differ_by_purpose_realm_and_division() -> None:
    realm, other = "0" * 64, "1" * 64
    texts = {signed_text(purpose, realm, b"ab", b"c") for purpose in Purpose}
    texts |= {
        signed_text(Purpose.GROUP_HEAD, other, b"ab", b"c"),
        signed_text(Purpose.GROUP_HEAD, realm, b"a", b"bc"),
        signed_text(Purpose.GROUP_HEAD, realm, b"abc"),
    }

    assert len(texts) == len(Purpose) + 3
    assert all(text.startswith(b" " * 64 + b"cordbox/v1/") for text in texts)


def test_context_is_read_as_it_was_encoded() -> None:
    context = {"corda.name": "O=A, L=London, C=GB", "ext.a": "é"}

    assert read_context(encode_context(context)) == context


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"a":1}',
        b'{"b":"1","a":"2"}',
        b'{"a": "1"}',
        b'{"a":"1","a":"2"}',
        b"\xff",
        b'{"ext.a":"' + b"x" * 801 + b'"}',
        b'{"ext.' + b"x" * 125 + b'":"1"}',
        b'{"a":"' + b"x" * contexts.BYTES_MAX + b'"}',
        b"{" + b",".join(b'"a%03d":""' % n for n in range(201)) + b"}",
        b"{" + b",".join(b'"ext.%03d":""' % n for n in range(101)) + b"}",
    ],
)
def test_malformed_context_is_refused(content: bytes) -> None:
    with pytest.raises(ContextInvalidError):
        read_context(content)


def test_numbered_entries_come_by_number() -> None:
    context = {f"corda.endpoints.{n}.connectionURL": f"https://{n}" for n in (10, 2, 0)}
    context["corda.endpoints.01.connectionURL"] = "https://not-a-number"

    found = contexts.numbered(context, contexts.ENDPOINTS, "connectionURL")

    assert found == ["https://0", "https://2", "https://10"]


def _head() -> Head:
    return Head(
        group_id="g",
        version=2,
        previous="00" * 32,
        root="11" * 32,
        members=3,
        parameters="SHA-256:AB",
        at=EpochMs(5),
    )


def test_head_is_read_as_it_was_encoded_and_in_no_other_form() -> None:
    content = encode_head(_head())

    assert read_head(content) == _head()
    for damaged in (content[:-1], b" " + content, content.replace(b'"version":2', b'"version":0')):
        with pytest.raises(MembershipMessageInvalidError):
            read_head(damaged)


def test_records_and_messages_are_read_as_they_were_encoded() -> None:
    arrived = MembershipIn(group_id="g", source=None, target="t", message_id="m", payload=b"\0\1")
    outcome = MembershipOutcome(group_id="g", source="s", target="t", message_id="m", code=None)
    update = StatusUpdate(registration_id="r", status="APPROVED", reason=None)

    assert read_record(encode_record(arrived)) == arrived
    assert read_record(encode_record(outcome)) == outcome
    assert read_message(encode_message(update)) == update
    for read in (read_record, read_message):
        with pytest.raises(MembershipMessageInvalidError):
            read(b"\xc1")


@pytest.mark.parametrize(
    "message",
    [
        StatusUpdate(registration_id="r" * 37, status="APPROVED", reason=None),
        PackagePart(package_id="p" * 65, index=0, count=1, data=b""),
    ],
)
def test_an_id_that_its_column_cannot_hold_is_refused(message: StatusUpdate | PackagePart) -> None:
    with pytest.raises(MembershipMessageInvalidError):
        read_message(encode_message(message))


def test_signature_of_a_registration_covers_id_context_and_realm() -> None:
    def text(realm: str = "0" * 64, registration_id: str = "r", context: bytes = b"m") -> bytes:
        return registration_text(
            realm,
            Register(
                registration_id=registration_id,
                member_context=context,
                member_signature=b"",
                registration_context=b"c",
                registration_signature=b"",
            ),
        )

    assert len({text(), text("1" * 64), text(registration_id="s"), text(context=b"n")}) == 4
