"""Structures that no tool writes, as the readers of certificates and signatures take or refuse them."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.name_text import NAME_CHARACTERS_MAX, NameTextError, read_name_text
from cpi.crypto.signed_data import protected_algorithms, read_content_info
from cpi.crypto.subject_names import subject_name
from cpi.crypto.tlv import SEQUENCE, encode, encode_integer, encode_object_identifier, read_element
from cpi.errors import KeystoreError
from tests.cpi.support import certificate

SIGNED_DATA = encode_object_identifier("1.2.840.113549.1.7.2")
SHA_256 = encode(SEQUENCE, encode_object_identifier("2.16.840.1.101.3.4.2.1"))


def test_a_length_that_is_cut_off_is_refused() -> None:
    with pytest.raises(DerRefusedError):
        check_der(b"\x30\x82\x01")


def test_a_content_info_may_lack_its_content_but_not_have_two() -> None:
    assert read_content_info(encode(SEQUENCE, SIGNED_DATA)) == ("1.2.840.113549.1.7.2", None)
    two = encode(0xA0, encode_integer(1), encode_integer(2))
    with pytest.raises(DerRefusedError, match="content has 2 values, expected 1"):
        read_content_info(encode(SEQUENCE, SIGNED_DATA, two))


def test_an_algorithm_protection_may_state_the_digest_alone() -> None:
    stated = read_element(encode(SEQUENCE, SHA_256), SEQUENCE, "a protection")
    assert protected_algorithms(stated) == ("sha256", None)


def test_name_constraints_that_constrain_nothing_are_refused() -> None:
    empty = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.30"), encode(SEQUENCE))
    key = ec.generate_private_key(ec.SECP256R1())
    odd = certificate("CN=Odd,O=x,C=GB", key, ca=True, extensions=[(empty, True)])
    with pytest.raises(KeystoreError) as refused:
        load_pem_certificates(odd.public_bytes(Encoding.PEM), source="x")
    assert refused.value.code == "certificate-unreadable"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("O=\ud83d", "half a character"),
        (f"O={'x' * NAME_CHARACTERS_MAX}", "is longer than"),
        ("O=#0C85000000000141", "no hexadecimal value of a string"),
        ("O=#0C8500000000014141", "no hexadecimal value of a string"),
    ],
)
def test_odd_names_are_refused(text: str, reason: str) -> None:
    with pytest.raises(NameTextError, match=reason):
        read_name_text(text)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_subject_has_a_name(text: str) -> None:
    with pytest.raises(NameTextError, match="name is empty"):
        subject_name(text)
