"""Identifiers of digest and signature algorithms in CMS and certificates, read and written.

Source: RFC 5280 section 4.1.1.2 (AlgorithmIdentifier); RFC 4055 section 3.1 (RSASSA-PSS);
RFC 5754, 5758 and 8410 (which parameters each algorithm has).
"""

from dataclasses import dataclass

from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.tlv import (
    INTEGER,
    NULL,
    SEQUENCE,
    Element,
    Fields,
    encode,
    encode_integer,
    encode_object_identifier,
    integer,
    members,
    object_identifier,
    read_element,
)

_PKCS1, _NIST_HASHES, _NIST = (
    "1.2.840.113549.1.1",
    "2.16.840.1.101.3.4.2",
    "2.16.840.1.101.3.4.3",
)
_ECDSA, _DSA = "1.2.840.10045.4", "1.2.840.10040.4"
RSASSA_PSS = f"{_PKCS1}.10"
_MGF1 = f"{_PKCS1}.8"
_DIGESTS = {
    "1.2.840.113549.2.2": "md2",
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    f"{_NIST_HASHES}.1": "sha256",
    f"{_NIST_HASHES}.2": "sha384",
    f"{_NIST_HASHES}.3": "sha512",
    f"{_NIST_HASHES}.4": "sha224",
    f"{_NIST_HASHES}.5": "sha512_224",
    f"{_NIST_HASHES}.6": "sha512_256",
    f"{_NIST_HASHES}.7": "sha3_224",
    f"{_NIST_HASHES}.8": "sha3_256",
    f"{_NIST_HASHES}.9": "sha3_384",
    f"{_NIST_HASHES}.10": "sha3_512",
}
_DIGEST_IDS = {name: kind for kind, name in _DIGESTS.items()}
_SHA2 = ("sha224", "sha256", "sha384", "sha512")
_SHA3 = ("sha3_224", "sha3_256", "sha3_384", "sha3_512")
_RSA_NUMBERS = {"sha256": 11, "sha384": 12, "sha512": 13}
_ECDSA_NUMBERS = {"sha256": 2, "sha384": 3, "sha512": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureAlgorithm:
    """How a CMS signature was made, as its algorithm's identifier says.

    Attributes:
        scheme: `rsassa_pkcs1v15`, `rsassa_pss`, `ecdsa`, `dsa`, `ed25519` or `ed448`.
        digest: the digest that the identifier names; None if it names none, or MD2 or MD5, which
            Java ignores there.
    """

    scheme: str
    digest: str | None = None


_SIGNATURES: dict[str, SignatureAlgorithm] = {
    kind: SignatureAlgorithm(scheme=scheme, digest=digest)
    for kind, scheme, digest in (
        (f"{_PKCS1}.1", "rsassa_pkcs1v15", None),
        (f"{_PKCS1}.2", "rsassa_pkcs1v15", None),
        (f"{_PKCS1}.4", "rsassa_pkcs1v15", None),
        ("1.3.14.3.2.3", "rsassa_pkcs1v15", None),
        ("1.3.14.7.2.3.1", "rsassa_pkcs1v15", None),
        (f"{_PKCS1}.5", "rsassa_pkcs1v15", "sha1"),
        ("1.3.14.3.2.29", "rsassa_pkcs1v15", "sha1"),
        (f"{_PKCS1}.11", "rsassa_pkcs1v15", "sha256"),
        (f"{_PKCS1}.12", "rsassa_pkcs1v15", "sha384"),
        (f"{_PKCS1}.13", "rsassa_pkcs1v15", "sha512"),
        (f"{_PKCS1}.14", "rsassa_pkcs1v15", "sha224"),
        (RSASSA_PSS, "rsassa_pss", None),
        (f"{_DSA}.1", "dsa", None),
        (f"{_DSA}.3", "dsa", "sha1"),
        ("1.3.14.3.2.13", "dsa", "sha1"),
        ("1.3.14.3.2.27", "dsa", "sha1"),
        (f"{_NIST}.1", "dsa", "sha224"),
        (f"{_NIST}.2", "dsa", "sha256"),
        (_ECDSA, "ecdsa", None),
        (f"{_ECDSA}.1", "ecdsa", "sha1"),
        *((f"{_ECDSA}.3.{n}", "ecdsa", digest) for n, digest in enumerate(_SHA2, 1)),
        *((f"{_NIST}.{n}", "ecdsa", digest) for n, digest in enumerate(_SHA3, 9)),
        ("1.3.101.112", "ed25519", None),
        ("1.3.101.113", "ed448", None),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PssParameters:
    """Parameters of RSASSA-PSS: digest, digest of the mask generator, bytes of salt."""

    digest: str
    generator: str
    salt_length: int


def digest_name(identifier: Element) -> str:
    """The digest of an AlgorithmIdentifier, such as `sha256`; its dotted identifier if unknown.

    Raises:
        DerRefusedError: it is no AlgorithmIdentifier.
    """
    kind = algorithm_id(identifier)
    return _DIGESTS.get(kind, kind)


def algorithm_id(identifier: Element) -> str:
    """The dotted identifier of an AlgorithmIdentifier.

    Raises:
        DerRefusedError: it is none.
    """
    return object_identifier(members(identifier, "an algorithm", 1, 2)[0])


def parameters_of(identifier: Element) -> Element | None:
    """The parameters of an AlgorithmIdentifier; None without, or for NULL.

    Raises:
        DerRefusedError: it is none.
    """
    parts = members(identifier, "an algorithm", 1, 2)
    return parts[1] if len(parts) == 2 and parts[1].tag != NULL else None


def signature_algorithm(identifier: Element) -> SignatureAlgorithm:
    """The signature algorithm of an AlgorithmIdentifier.

    Raises:
        DerRefusedError: it is none, or one that is not known.
    """
    kind = algorithm_id(identifier)
    if kind not in _SIGNATURES:
        raise DerRefusedError(f"signature algorithm {kind} is not known")
    return _SIGNATURES[kind]


def pss_parameters(identifier: Element) -> PssParameters:
    """The parameters in an AlgorithmIdentifier of RSASSA-PSS; what they leave out is SHA-1 and 20.

    Raises:
        DerRefusedError: it has none, or no such ones.
    """
    parameters = parameters_of(identifier)
    if parameters is None:
        raise DerRefusedError("RSASSA-PSS has no parameters")
    fields = Fields(parameters, "the parameters of RSASSA-PSS")
    digest, generator, salt, trailer = (fields.optional(0xA0 | at) for at in range(4))
    fields.end()
    if trailer is not None and integer(read_element(trailer.content, INTEGER, "a trailer")) != 1:
        raise DerRefusedError("RSASSA-PSS has another trailer than 1")
    return PssParameters(
        digest="sha1" if digest is None else digest_name(_inner(digest)),
        generator="sha1" if generator is None else _generator(_inner(generator)),
        salt_length=20 if salt is None else integer(read_element(salt.content, INTEGER, "a salt")),
    )


def _inner(holder: Element) -> Element:
    return read_element(holder.content, SEQUENCE, "an algorithm")


def _generator(identifier: Element) -> str:
    kind, parameters = algorithm_id(identifier), parameters_of(identifier)
    if kind != _MGF1 or parameters is None:
        raise DerRefusedError(f"mask generator {kind} is not MGF1 with a digest")
    return digest_name(parameters)


def read_algorithm(der: bytes) -> Element:
    """An AlgorithmIdentifier from its encoding.

    Raises:
        DerRefusedError: it is none.
    """
    check_der(der)
    return read_element(der, SEQUENCE, "an algorithm")


def encode_digest(digest: str) -> bytes:
    """The AlgorithmIdentifier of a digest, with the NULL that Java writes, too."""
    return _identifier(_DIGEST_IDS[digest], encode(NULL))


def encode_rsa(digest: str) -> bytes:
    """The AlgorithmIdentifier of RSA PKCS#1 v1.5 with a digest."""
    return _identifier(f"{_PKCS1}.{_RSA_NUMBERS[digest]}", encode(NULL))


def encode_ecdsa(digest: str) -> bytes:
    """The AlgorithmIdentifier of ECDSA with a digest."""
    return _identifier(f"{_ECDSA}.3.{_ECDSA_NUMBERS[digest]}")


def encode_ed25519() -> bytes:
    """The AlgorithmIdentifier of Ed25519."""
    return _identifier("1.3.101.112")


def encode_pss(digest: str, salt_length: int) -> bytes:
    """The AlgorithmIdentifier of RSASSA-PSS with one digest throughout."""
    plain = encode_digest(digest)
    parameters = encode(
        SEQUENCE,
        encode(0xA0, plain),
        encode(0xA1, _identifier(_MGF1, plain)),
        encode(0xA2, encode_integer(salt_length)),
    )
    return _identifier(RSASSA_PSS, parameters)


def _identifier(kind: str, parameters: bytes = b"") -> bytes:
    return encode(SEQUENCE, encode_object_identifier(kind), parameters)
