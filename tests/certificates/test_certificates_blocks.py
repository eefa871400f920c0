"""Signature blocks of any shape: each statement in one is checked, and the refusal names it."""

import hashlib
from typing import Any

import pytest
from asn1crypto import algos
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from cpi.crypto import signed_data as cms_types
from cpi.crypto.algorithms import (
    RSASSA_PSS,
    PssParameters,
    digest_name,
    encode_digest,
    encode_ecdsa,
    encode_ed25519,
    encode_pss,
    encode_rsa,
    pss_parameters,
    read_algorithm,
    signature_algorithm,
)
from cpi.crypto.certificates import load_der
from cpi.crypto.cms import SignedMessage, encode_signed_data, verify_signed_data
from cpi.crypto.der import DerRefusedError
from cpi.crypto.keys import SigningKey
from cpi.crypto.public_keys import check_key, describe_key, verify_signature
from cpi.crypto.signature_schemes import pss_restriction, scheme_of
from cpi.crypto.signer_hash import signer_summary_hash
from cpi.crypto.timestamps import read_timestamp
from cpi.crypto.tlv import NULL, OCTET_STRING, SEQUENCE, SET, Element, encode, read_element
from cpi.crypto.trust import validate_path
from cpi.errors import CpiError, SignatureError, TrustError
from tests.certificates.making import (
    Shape,
    certificate,
    name,
    number,
    oid,
    plain_name,
    private_key,
)
from tests.cpi.support import NOW

KEY = private_key("p256")
OWN = certificate(Shape(subject=plain_name("Signer")), KEY)
CONTENT = b"what is signed"
DATA, TST = oid(cms_types.DATA), oid(cms_types.TST_INFO)
SHA256 = encode(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"))
ECDSA = encode(SEQUENCE, oid("1.2.840.10045.4.3.2"))
SID = encode(SEQUENCE, name(plain_name("Signer")), number(4711))
CONTENT_TYPE, DIGEST, PROTECTION, STAMP = (
    oid(f"1.2.840.113549.1.9.{n}") for n in ("3", "4", "52", "16.2.14")
)


def attribute(kind: bytes, *values: bytes) -> bytes:
    return encode(SEQUENCE, kind, encode(SET, *values))


def digest_of(data: bytes = CONTENT) -> bytes:
    return attribute(DIGEST, encode(OCTET_STRING, hashlib.sha256(data).digest()))


def block(
    *,
    attributes: tuple[bytes, ...] = (),
    unsigned: tuple[bytes, ...] = (),
    key: Any = KEY,
    digest: bytes = SHA256,
    algorithm: bytes = ECDSA,
    sid: bytes = SID,
    certificates: tuple[bytes, ...] = (OWN,),
    content_type: bytes = DATA,
    attached: bytes | None = None,
    signers: int = 1,
    outer: str = "1.2.840.113549.1.7.2",
    sign: Any = None,
) -> bytes:
    signed = encode(SET, *attributes) if attributes else (attached or CONTENT)
    made = sign(signed) if sign else key.sign(signed, ec.ECDSA(hashes.SHA256()))
    info = encode(
        SEQUENCE,
        number(1),
        sid,
        digest,
        encode(0xA0, *attributes) if attributes else b"",
        algorithm,
        encode(OCTET_STRING, made),
        encode(0xA1, *unsigned) if unsigned else b"",
    )
    holder = b"" if attached is None else encode(0xA0, encode(OCTET_STRING, attached))
    body = encode(
        SEQUENCE,
        number(1 if content_type == DATA else 3),
        encode(SET, digest),
        encode(SEQUENCE, content_type, holder),
        encode(0xA0, *certificates),
        encode(SET, *[info] * signers),
    )
    return encode(SEQUENCE, oid(outer), encode(0xA0, body))


def verified(
    der: bytes, content: bytes | None = CONTENT, kind: str = cms_types.DATA
) -> SignedMessage:
    return verify_signed_data(der, content, content_type=kind, what="META-INF/A.EC")


def test_blocks_that_are_good() -> None:
    assert verified(block()).digest == "sha256"
    assert verified(block(attached=CONTENT)).content == CONTENT
    assert verified(block(attached=CONTENT), None).content == CONTENT
    both = (attribute(CONTENT_TYPE, DATA), digest_of())
    assert verified(block(attributes=both)).chain[0].der == OWN
    protection = encode(SEQUENCE, SHA256, encode(0xA1, ECDSA[2:]))
    assert verified(block(attributes=(*both, attribute(PROTECTION, protection))))
    token = encode(SEQUENCE, DATA, encode(0xA0, encode(OCTET_STRING)))
    assert verified(block(unsigned=(attribute(STAMP, token),))).timestamp_token == token
    assert verified(block(unsigned=(attribute(DIGEST, b"\4\0"),))).timestamp_token is None
    empty_name = oid("2.5.4.3")
    assert empty_name


OTHER = encode(SEQUENCE, oid("2.16.840.1.101.3.4.2.2"))
BROKEN: dict[str, tuple[bytes, str]] = {
    "another structure": (block(outer="1.2.840.113549.1.7.1"), "not signed_data"),
    "no signer": (block(signers=0), "expected 1 signer, found 0"),
    "two signers": (block(signers=2), "expected 1 signer, found 2"),
    "another attached content": (block(attached=b"other"), "not the signature file"),
    "another type of content": (block(content_type=TST), "content is tst_info, expected data"),
    "too many certificates": (block(certificates=(OWN,) * 21), "21 certificates, at most 20"),
    "a signer by key": (block(sid=encode(0x80, b"id")), "not identified by issuer and serial"),
    "no certificate of it": (block(certificates=()), "certificate is not in the block"),
    "an attribute twice": (block(attributes=(digest_of(), digest_of())), "must have one value"),
    "no type attribute": (block(attributes=(digest_of(),)), "content_type is not data"),
    "no digest attribute": (block(attributes=(attribute(CONTENT_TYPE, DATA),)), "is missing"),
    "a digest of other bytes": (
        block(attributes=(attribute(CONTENT_TYPE, DATA), digest_of(b"x"))),
        "message digest is of other bytes",
    ),
    "another protection": (
        block(
            attributes=(
                attribute(CONTENT_TYPE, DATA),
                digest_of(),
                attribute(PROTECTION, encode(SEQUENCE, OTHER, encode(0xA1, ECDSA[2:]))),
            )
        ),
        "algorithm protection states sha384",
    ),
    "another digest in the algorithm": (
        block(algorithm=encode(SEQUENCE, oid("1.2.840.10045.4.3.3"))),
        "sha384_ecdsa differs from digest sha256",
    ),
    "a weak digest": (block(digest=encode(SEQUENCE, oid("1.3.14.3.2.26"))), "uses digest sha1"),
    "an unknown algorithm": (
        block(algorithm=encode(SEQUENCE, oid("1.3.101.113"))),
        "signature algorithm",
    ),
    "a signature of other bytes": (block(attached=None, sign=lambda _: b"0"), "does not cover"),
    "PSS of two digests": (
        block(algorithm=encode_pss("sha384", 48)),
        "RSASSA-PSS digests",
    ),
    "two timestamps": (
        block(unsigned=(attribute(STAMP, encode(SEQUENCE, DATA)),) * 2),
        "more than one timestamp",
    ),
    "no DER": (b"\x30\x01", "no readable CMS SignedData"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_blocks_that_are_not(what: str) -> None:
    der, words = BROKEN[what]
    with pytest.raises(SignatureError, match=words):
        verified(der)


def test_content_must_be_somewhere_and_stamps_need_attributes() -> None:
    with pytest.raises(SignatureError, match="the content is missing"):
        verified(block(), None)
    with pytest.raises(SignatureError, match="signed attributes are missing"):
        verified(block(content_type=TST), CONTENT, cms_types.TST_INFO)


def rsa_block(*, pss: bool, parameters: bytes = b"", salt: int = 32) -> bytes:
    """A block by a key that is for RSASSA-PSS alone."""
    key = private_key("rsa2048")
    plain = certificate(Shape(subject=plain_name("Signer")), key)
    identifier = encode(SEQUENCE, oid("1.2.840.113549.1.1.1"), encode(NULL))
    assert plain.count(identifier) == 1
    own = resized(plain, identifier, encode(SEQUENCE, oid("1.2.840.113549.1.1.10"), parameters))
    if pss:
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        algorithm = encode_pss("sha256", salt)
    else:
        scheme, algorithm = padding.PKCS1v15(), encode(SEQUENCE, oid("1.2.840.113549.1.1.11"))
    return block(
        certificates=(own,),
        algorithm=algorithm,
        sign=lambda data: key.sign(data, scheme, hashes.SHA256()),
    )


def resized(der: bytes, old: bytes, new: bytes) -> bytes:
    """A certificate with another algorithm of its key, with all lengths set anew."""
    body, algorithm, signature = read_element(der, SEQUENCE, "it").children()
    fields = [
        encode(SEQUENCE, *(new if c.der == old else c.der for c in field.children()))
        if old in field.der
        else field.der
        for field in body.children()
    ]
    return encode(SEQUENCE, encode(SEQUENCE, *fields), algorithm.der, signature.der)


def test_keys_for_pss_alone_are_used_as_their_certificates_allow() -> None:
    restriction = algos.SignedDigestAlgorithm.load(encode_pss("sha256", 40))
    limits = restriction["parameters"].dump()
    assert verified(rsa_block(pss=True)).algorithm == "sha256 rsassa_pss"
    with pytest.raises(SignatureError, match="is for RSASSA-PSS, the signature is another"):
        verified(rsa_block(pss=False))
    assert verified(rsa_block(pss=True, parameters=limits, salt=40))
    with pytest.raises(SignatureError, match="with a salt of 40 bytes or more"):
        verified(rsa_block(pss=True, parameters=limits))
    with pytest.raises(SignatureError, match="parameters of its key cannot be read"):
        pss_restriction(pss_certificate(b"\2\1\1"))


def pss_certificate(parameters: bytes) -> Any:
    key = private_key("rsa2048")
    identifier = encode(SEQUENCE, oid("1.2.840.113549.1.1.1"), encode(NULL))
    own = certificate(Shape(subject=plain_name("Signer")), key)
    return load_der(
        resized(own, identifier, encode(SEQUENCE, oid("1.2.840.113549.1.1.10"), parameters))
    )


def test_two_digests_of_one_pss_key_are_refused() -> None:
    stated = algos.SignedDigestAlgorithm.load(encode_pss("sha256", 32))
    stated["parameters"]["mask_gen_algorithm"] = {
        "algorithm": "mgf1",
        "parameters": {"algorithm": "sha384"},
    }
    with pytest.raises(SignatureError, match="is for sha256 with sha384") as refused:
        pss_restriction(pss_certificate(stated["parameters"].dump()))
    assert refused.value.code == "key-unsupported"
    assert pss_restriction(load_der(OWN)) is None


def test_what_is_encoded_is_read_back_byte_for_byte() -> None:
    for serial in (0, -5, 127, 128, 1 << 159):
        own = load_der(certificate(Shape(subject=plain_name("Signer"), serial=serial), KEY))
        scheme = scheme_of(KEY, own)
        der = encode_signed_data(
            certificates=[own],
            digest=scheme.digest,
            algorithm=scheme.algorithm,
            signature=scheme.sign(CONTENT),
        )
        assert verified(der).chain == (own,)


def test_kinds_of_keys_have_names_and_limits() -> None:
    for kind, text, good in (
        ("k256", "EC secp256k1", False),
        ("dsa2048", "DSA 2048", True),
        ("ed448", "Ed448PublicKey", False),
        ("rsa2048", "RSA 2048", True),
    ):
        public = private_key(kind).public_key()
        assert describe_key(public) == text
        if good:
            check_key(public, "x")
        else:
            with pytest.raises(SignatureError, match=text):
                check_key(public, "x")
    assert not verify_signature(object(), b"", b"", digest=hashes.SHA256())


def test_damaged_timestamps_are_refused() -> None:
    message = SignedMessage(
        content=b"",
        chain=(load_der(OWN),),
        digest="sha256",
        algorithm="",
        signature=b"s",
        timestamp_token=None,
    )
    assert read_timestamp(message, "A.EC") is None

    def stamped(content: bytes, attributes: tuple[bytes, ...]) -> SignedMessage:
        token = block(content_type=TST, attached=content, attributes=attributes)
        return SignedMessage(
            content=b"",
            chain=(load_der(OWN),),
            digest="sha256",
            algorithm="",
            signature=b"s",
            timestamp_token=token,
        )

    imprint = encode(SEQUENCE, SHA256, encode(OCTET_STRING, hashlib.sha256(b"s").digest()))
    time = encode(0x18, b"20260601120000Z")
    info = encode(SEQUENCE, number(1), oid("1.2.3"), imprint, number(1), time)
    for content, words in ((b"\x30\x03abc", "is damaged"), (info, "may not timestamp")):
        both = (attribute(CONTENT_TYPE, TST), digest_of(content))
        with pytest.raises(SignatureError, match=words) as refused:
            read_timestamp(stamped(content, both), "A.EC")
        assert refused.value.code == "timestamp-invalid"


def test_no_certificate_gives_no_hash_and_no_anchor_no_trust() -> None:
    with pytest.raises(SignatureError, match="at least one valid signature"):
        signer_summary_hash([])
    with pytest.raises(TrustError, match="Trusted certificates not set"):
        validate_path([load_der(OWN)], [], at=NOW)


def test_a_key_that_cannot_be_used_ends_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = load_der(OWN.replace(oid("1.2.840.10045.3.1.7"), oid("1.2.840.10045.3.1.9")))
    with pytest.raises(CpiError) as refused:
        validate_path([strange], [strange], at=NOW)
    assert refused.value.code == "key-unsupported"
    key = SigningKey(private_key=KEY, certificate_chain=(load_der(OWN),), alias="a")
    assert key.anchor.der == OWN


DIGESTS = ("sha256", "sha384", "sha512")


@pytest.mark.parametrize("digest", DIGESTS)
def test_algorithms_are_written_as_the_library_writes_them(digest: str) -> None:
    plain = {"algorithm": digest}
    pss = {
        "hash_algorithm": plain,
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": plain},
        "salt_length": 48,
    }
    for ours, theirs in (
        (encode_rsa(digest), {"algorithm": f"{digest}_rsa"}),
        (encode_ecdsa(digest), {"algorithm": f"{digest}_ecdsa"}),
        (encode_ed25519(), {"algorithm": "ed25519"}),
        (encode_pss(digest, 48), {"algorithm": "rsassa_pss", "parameters": pss}),
    ):
        assert ours == algos.SignedDigestAlgorithm(theirs).dump()
    assert encode_digest(digest) == algos.DigestAlgorithm(plain).dump()


def test_algorithms_are_named_as_the_library_names_them() -> None:
    for dotted, named in algos.SignedDigestAlgorithmId._map.items():
        identifier = encode(SEQUENCE, oid(dotted))
        theirs = algos.SignedDigestAlgorithm.load(identifier)
        ours = signature_algorithm(read_algorithm(identifier))
        assert ours.scheme == theirs.signature_algo
        states = named.rpartition("_")[0]
        assert ours.digest == (states if states.startswith("sha") else None)
    for dotted, named in algos.DigestAlgorithmId._map.items():
        if not named.startswith("shake"):  # which name no digest by themselves
            assert digest_name(read_algorithm(encode(SEQUENCE, oid(dotted)))) == named
    with pytest.raises(SignatureError, match=r"signature algorithm 1\.2\.3 is not known"):
        verified(block(algorithm=encode(SEQUENCE, oid("1.2.3"))))


def test_parameters_of_pss_have_the_defaults_of_the_standard() -> None:
    def stated(*fields: bytes) -> PssParameters:
        parameters = encode(SEQUENCE, *fields)
        return pss_parameters(read_algorithm(encode(SEQUENCE, oid(RSASSA_PSS), parameters)))

    assert stated() == PssParameters(digest="sha1", generator="sha1", salt_length=20)
    assert stated(encode(0xA3, number(1))) == stated()
    for field, words in (
        (encode(0xA3, number(2)), "another trailer"),
        (encode(0xA1, encode(SEQUENCE, oid("1.2.3"))), "is not MGF1"),
        (encode(0xA4, number(1)), "unknown field"),
        (encode(0xA2, encode(NULL)), "a salt has tag"),
    ):
        with pytest.raises(DerRefusedError, match=words):
            stated(field)
    with pytest.raises(DerRefusedError, match="no parameters"):
        pss_parameters(read_algorithm(encode(SEQUENCE, oid(RSASSA_PSS), encode(NULL))))


def test_a_block_of_indefinite_lengths_is_read_as_its_der() -> None:
    """Bouncy Castle writes such ones: attributes are signed in DER, whatever the block is in."""
    both = (attribute(CONTENT_TYPE, DATA), digest_of())
    outer = read_element(block(attributes=both, attached=CONTENT), SEQUENCE, "it")
    assert verified(indefinite(outer)).content == CONTENT


def indefinite(element: Element) -> bytes:
    if not element.tag & 0x20:
        return element.der
    if element.tag == SEQUENCE and element.der == OWN:
        return element.der
    inner = b"".join(map(indefinite, element.children()))
    return bytes([element.tag, 0x80]) + inner + b"\0\0"
