"""Member X.500 names and holding identities, by Corda's rules."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain.ids import (
    Checksum,
    HoldingIdentity,
    InvalidShortHashError,
    parse_short_hash,
    short_hash_of,
)
from host.domain.x500 import InvalidX500NameError, MemberX500Name

_TEXT = st.text(
    alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"),
    min_size=1,
    max_size=40,
).filter(lambda s: s == s.strip() and s.strip() != "")


def test_canonical_order_does_not_depend_on_the_order_given() -> None:
    one = MemberX500Name.parse("C=GB, L=London, O=Alice")
    other = MemberX500Name.parse("O=Alice,L=London,C=GB")
    assert str(one) == str(other) == "O=Alice, L=London, C=GB"
    full = MemberX500Name.parse("ST=Kent, C=GB, OU=Desk, CN=Trader, O=Alice, L=London")
    assert str(full) == "CN=Trader, OU=Desk, O=Alice, L=London, ST=Kent, C=GB"


def test_short_hash_is_twelve_digits_of_the_sha256_of_name_and_group() -> None:
    name = MemberX500Name.parse("C=GB, L=London, O=Alice")
    holding = HoldingIdentity(x500_name=name, group_id="6f5e5b1c-0a3c-4a8e-9f55-2b7a8b5f6b0a")
    expected = hashlib.sha256(
        b"O=Alice, L=London, C=GB6f5e5b1c-0a3c-4a8e-9f55-2b7a8b5f6b0a"
    ).hexdigest()
    assert holding.full_hash == expected.upper()
    assert holding.short_hash == expected.upper()[:12]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "O=Alice, L=London",
        "O=Alice, C=GB",
        "L=London, C=GB",
        "O=Alice, L=London, C=GBR",
        "O=Alice, L=London, C=gb",
        "O=Alice, L=London, C=XX",
        "O=Alice, L=London, C=UK",
        "O=Alice, L=London, C=GB, DC=x",
        "O=Alice, O=Bob, L=London, C=GB",
        "O=, L=London, C=GB",
        "O=  , L=London, C=GB",
        "O=Alice, L=London, C=GB\\",
        "O=Al\x00ice, L=London, C=GB",
        "O=Alice; L=London, C=GB",
        f"O={'a' * 128}, L=London, C=GB",
        f"O=Alice, L={'l' * 64}, C=GB",
        f"CN={'n' * 64}, O=Alice, L=London, C=GB",
        "O=" + "a" * 2000,
        "no name at all",
    ],
)
def test_bad_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidX500NameError) as refused:
        MemberX500Name.parse(text)
    assert refused.value.code == "x500-name-invalid"


@given(o=_TEXT, locality=_TEXT, cn=st.none() | _TEXT)
def test_text_form_parses_back_to_the_same_name(o: str, locality: str, cn: str | None) -> None:
    name = MemberX500Name(organization=o, locality=locality, country="GB", common_name=cn)
    assert MemberX500Name.parse(str(name)) == name


def test_short_hashes() -> None:
    assert parse_short_hash("abcdef012345") == "ABCDEF012345"
    for bad in ("", "ABCDEF01234", "ABCDEF0123456", "ABCDEF01234G", "../../etc/pa"):
        with pytest.raises(InvalidShortHashError):
            parse_short_hash(bad)
    assert short_hash_of(Checksum("SHA-256:" + "AB" * 32)) == "ABABABABABAB"
