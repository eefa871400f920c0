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
).map(lambda s: s.strip(' "\x85\xa0') or "a")


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
        "O=Al\ud800ice, L=London, C=GB",
        "O=#1 Bank, L=London, C=GB",
        'O="Say ""hi""", L=London, C=GB',
        'O="Say, L=London, C=GB',
        'O="Say" x, L=London, C=GB',
        "O=A<B>, L=London, C=GB",
        "O=A+OU=B, L=London, C=GB",
        "O=A\\x, L=London, C=GB",
        'O="A\\ B", L=London, C=GB',
        "O=\\FF, L=London, C=GB",
        "O=#0c0241, L=London, C=GB",
        "O=#020105, L=London, C=GB",
        "2.5.4.5=1, O=A, L=London, C=GB",
        "OID.=A, O=A, L=London, C=GB",
        "OID.O=A, L=London, C=GB",
        "O=#1302C3BC, L=London, C=GB",
        "O=#0c03414243 , L=London, C=GB",
        "O=#0c804142, L=London, C=GB",
        "O=A, L=London, C=GB\n",
        "O=A, L=London, C=\\ GB",
        "O=A\\=\\\\, L=London, C=GB",
        "CN=\\41\\\\, OU=lost by Java, O=A, L=London, C=GB",
        "O=\\=\\5C\\;, L=London, C=GB",
        f"O={'a ' * 63}a  \t, L=London, C=GB",
        'O=\\"\\"a\\"\\", L=London, C=GB',
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


def test_a_comma_without_quotes_is_named_with_its_remedy() -> None:
    with pytest.raises(InvalidX500NameError, match=r"'Inc.' is no attribute .* needs quotes"):
        MemberX500Name.parse("O=Acme, Inc., L=London, C=GB")


@given(o=_TEXT, locality=_TEXT, cn=st.none() | _TEXT)
def test_text_form_parses_back_to_the_same_name(o: str, locality: str, cn: str | None) -> None:
    name = MemberX500Name(organization=o, locality=locality, country="GB", common_name=cn)
    if "\\" in str(name) and (reason := _refusal(str(name))) is not None:
        assert "Java misreads the backslash" in reason
    else:
        assert MemberX500Name.parse(str(name)) == name


def _refusal(text: str) -> str | None:
    try:
        MemberX500Name.parse(text)
    except InvalidX500NameError as refused:
        return refused.message
    return None


JAVA = {
    'O="Acme, Inc.", L=London, C=GB': 'O="Acme, Inc.", L=London, C=GB',
    "O=Acme\\, Inc., L=London, C=GB": 'O="Acme, Inc.", L=London, C=GB',
    'O="Bank+A", CN="Service<>Name", L="New=York", C=US': (
        'CN="Service<>Name", O="Bank+A", L="New=York", C=US'
    ),
    "O=IN=VALID, L=VALID, C=DE": 'O="IN=VALID", L=VALID, C=DE',
    "C=GB; L=London; O=Alice": "O=Alice, L=London, C=GB",
    "O=A;L=B;C=GB": "O=A, L=B, C=GB",
    "O=C# Shop, L=London, C=GB": 'O="C# Shop", L=London, C=GB',
    "O=Two  Spaces, L=London, C=GB": 'O="Two  Spaces", L=London, C=GB',
    "O=M&M's, L=London, C=GB": "O=M&M's, L=London, C=GB",
    'O=Say \\"hi\\", L=London, C=GB': 'O="Say \\"hi\\"", L=London, C=GB',
    "O=Back\\\\slash, L=London, C=GB": 'O="Back\\\\slash", L=London, C=GB',
    "O=Z\\C3\\BCrich, L=London, C=GB": "O=Zürich, L=London, C=GB",
    "O=株式会社, L=東京, C=JP": "O=株式会社, L=東京, C=JP",
    "o=lower, l=case, c=GB": "O=lower, L=case, C=GB",
    "2.5.4.10=Oid, L=London, C=GB": "O=Oid, L=London, C=GB",
    "OID.2.5.4.10=Oid, L=London, C=GB": "O=Oid, L=London, C=GB",
    "S=State, O=A, L=London, C=GB": "O=A, L=London, ST=State, C=GB",
    "O=A\\+B, L=London, C=GB": 'O="A+B", L=London, C=GB',
    "O= Padded , L=London, C=GB": "O=Padded, L=London, C=GB",
    'O="  Kept  ", L=London, C=GB': "O=Kept, L=London, C=GB",
    "O=\\#1, L=London, C=GB": 'O="#1", L=London, C=GB',
    "O=#0c03416263, L=London, C=GB": "O=Abc, L=London, C=GB",
    "O=?  \\C3\\A9, L=London, C=GB": "O=?é, L=London, C=GB",
    "O=?  \\C3\\A9x, L=London, C=GB": 'O="?  éx", L=London, C=GB',
    'O=\\"quoted\\", L=London, C=GB': "O=quoted, L=London, C=GB",
    'O="a;b,c", L=London, C=GB': 'O="a;b,c", L=London, C=GB',
    "O=#1402E4E5, L=London, C=GB": "O=äå, L=London, C=GB",
    "O=#1E0400410042, L=London, C=GB": "O=AB, L=London, C=GB",
    "O=#1C0400000041, L=London, C=GB": "O=A, L=London, C=GB",
    "O=#0c8200024142, L=London, C=GB": "O=AB, L=London, C=GB",
    "OID.02.5.4.010=A, L=London, C=GB": "O=A, L=London, C=GB",
    "O=\u3000, L=London, C=GB": "O=\u3000, L=London, C=GB",
    "O=A, L=London, C=GB\\ ": "O=A, L=London, C=GB",
    "C=GB\\ ,O=A,L=London": "O=A, L=London, C=GB",
    "O=?  \\C3\\A9 , L=London, C=GB": 'O="?  é", L=London, C=GB',
    "CN=\\=\\=\\\\, O=A, L=London, C=GB": 'CN="==\\\\", O=A, L=London, C=GB',
}
"""Texts, and what Java's `X500Principal` and `LdapName` make of them, as Corda uses both."""


@pytest.mark.parametrize("text", JAVA)
def test_names_are_read_and_written_as_java_does(text: str) -> None:
    name = MemberX500Name.parse(text)
    assert str(name) == JAVA[text]
    assert MemberX500Name.parse(str(name)) == name


def test_a_name_that_ends_with_a_backslash_is_read_back() -> None:
    """Java takes the quote behind it, or the comma, for escaped."""
    name = MemberX500Name.parse("O=Back\\\\, L=London, C=GB")
    assert str(name) == 'O="Back\\\\", L=London, C=GB'
    assert MemberX500Name.parse(str(name)) == name


def test_lengths_are_counted_as_java_does() -> None:
    """In UTF-16 units, of which a character beyond U+FFFF has two."""
    assert MemberX500Name.parse(f"O={'😀' * 63}, L=London, C=GB")
    with pytest.raises(InvalidX500NameError, match="must be shorter than 128 characters"):
        MemberX500Name.parse(f"O={'😀' * 64}, L=London, C=GB")


def test_short_hashes() -> None:
    assert parse_short_hash("abcdef012345") == "ABCDEF012345"
    for bad in ("", "ABCDEF01234", "ABCDEF0123456", "ABCDEF01234G", "../../etc/pa"):
        with pytest.raises(InvalidShortHashError):
            parse_short_hash(bad)
    assert short_hash_of(Checksum("SHA-256:" + "AB" * 32)) == "ABABABABABAB"
