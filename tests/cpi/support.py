"""Keys, packages and ways to break them, made in memory.

The certificates follow Corda's fixtures: leaf <- CA1 or CA2 <- root, EC P-256.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cpi.archive.reading import read_archive
from cpi.archive.writing import write_archive
from cpi.crypto.keys import SigningKey
from cpi.errors import PackageRefusedError
from cpi.jar.signing import sign_entries
from cpi.package.build import CpkSpec, build_cpb, build_cpi, build_cpk
from cpi.package.group_policy_generation import generate_static_policy
from cpi.package.model import PackageType, VerifiedPackage
from cpi.package.verify import verify_package

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIBRARIES = {f"META-INF/privatelib/library{i}.jar": f"library {i}".encode() for i in (1, 2, 3)}


@dataclass(frozen=True)
class Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]


def name(text: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(text)


def certificate(
    subject: str,
    key,
    issuer: "Authority | None" = None,
    *,
    ca: bool | None = None,
    path_length: int | None = None,
    begin: datetime = NOW - timedelta(days=365),
    end: datetime = NOW + timedelta(days=3650),
    usage: Mapping[str, bool] | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    digest: hashes.HashAlgorithm | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.certificate.subject if issuer else name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if usage is not None:
        flags = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(**{**flags, **usage}), critical=True)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else key
    if digest is None and not isinstance(signer, ed25519.Ed25519PrivateKey):
        digest = hashes.SHA256()
    return builder.sign(signer, digest)


def authority(subject: str, issuer: "Authority | None" = None, **options) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    made = certificate(subject, key, issuer, **{"ca": True, **options})
    return Authority(key, made, (made, *(issuer.chain if issuer else ())))


@cache
def root() -> Authority:
    return authority("CN=Corda Dev Root CA,OU=R3,O=Corda,L=Dublin,C=IE")


@cache
def ca(number: int) -> Authority:
    return authority(f"CN=Corda Dev CA{number},OU=R3,O=Corda,L=Dublin,C=IE", root())


@cache
def signer(subject: str, number: int = 1) -> SigningKey:
    """A leaf below CA1 or CA2, with its chain of three."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = ca(number)
    leaf = certificate(f"CN={subject},OU=R3,O=Corda,L=Dublin,C=IE", key, issuer)
    return SigningKey(
        private_key=key, certificate_chain=(leaf, *issuer.chain), alias=subject.lower()
    )


def alice() -> SigningKey:
    return signer("Alice", 1)


def bob() -> SigningKey:
    return signer("Bob", 2)


def root_signer() -> SigningKey:
    return SigningKey(private_key=root().key, certificate_chain=root().chain, alias="rootca")


@cache
def self_signed(kind: str) -> SigningKey:
    key = {
        "ec256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ec384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
        "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    made = certificate(f"CN={kind},O=Acme,L=London,C=GB", key)
    return SigningKey(private_key=key, certificate_chain=(made,), alias=kind)


def cpk_spec(symbolic_name: str = "test.cpk", **changes) -> CpkSpec:
    values = {
        "symbolic_name": symbolic_name,
        "version": "1.0.0.0",
        "cordapp_kind": "workflow",
        "cordapp_name": "Test",
        "cordapp_version": 1,
        "vendor": "R3",
        "licence": "Unknown",
        "entries": {
            **LIBRARIES,
            "package/Cpk1.class": b"class",
            "config/external-channels.json": b'{"channels": []}',
        },
        **changes,
    }
    return CpkSpec(**values)


def cpk(*keys: SigningKey, **changes) -> bytes:
    return build_cpk(cpk_spec(**changes), keys or (alice(),))


def cpb(*keys: SigningKey, cpks: Mapping[str, bytes] | None = None) -> bytes:
    members = cpks or {
        "testCpk1-1.0.0.0.jar": cpk(symbolic_name="testCpk1"),
        "testCpk2-1.0.0.0.jar": cpk(symbolic_name="testCpk2"),
    }
    return build_cpb(name="testCpb", version="1.0.0.0", cpks=members, keys=keys or (alice(),))


@cache
def policy() -> str:
    return generate_static_policy(
        names=["O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"],
        group_id="83d48afa-ebb3-4ae3-91c7-3615e6f86f5f",
        endpoint_url="https://localhost:10000",
        endpoint_protocol=1,
    )


def cpi(*keys: SigningKey, bundle: bytes | None = None, file_name: str = "testCpbV2.cpb") -> bytes:
    return build_cpi(
        name="testCpi",
        version="1.0.0.0",
        cpb=(file_name, bundle if bundle is not None else cpb()),
        group_policy=policy(),
        keys=keys or (alice(),),
    )


def resigned(main: Mapping[str, str], entries: Mapping[str, bytes], *keys: SigningKey) -> bytes:
    return sign_entries(main, entries, keys or (alice(),))


def entries_of(data: bytes) -> list[tuple[str, bytes]]:
    archive = read_archive(data)
    return [(entry.name, archive.read(entry.name)) for entry in archive.entries]


def edit(
    data: bytes, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]
) -> bytes:
    """Rewrite an archive after a change to its list of entries."""
    return write_archive(change(entries_of(data)))


def replace_entry(data: bytes, which: str, change: Callable[[bytes], bytes]) -> bytes:
    assert any(n == which for n, _ in entries_of(data))
    return edit(data, lambda es: [(n, change(c) if n == which else c) for n, c in es])


def drop_section(raw: bytes, entry: str) -> bytes:
    """Remove one entry's section from a manifest or signature file."""
    head, *sections = raw.split(b"\r\n\r\n")
    kept = [s for s in sections if s and f"Name: {entry}".encode() not in s.replace(b"\r\n ", b"")]
    assert len(kept) == len([s for s in sections if s]) - 1
    return b"\r\n\r\n".join([head, *kept]) + b"\r\n\r\n"


def accept(
    data: bytes, kind: PackageType | None = None, trusted=None, **options
) -> VerifiedPackage:
    anchors = (root().certificate,) if trusted is None else trusted
    return verify_package(data, package_type=kind, trusted=anchors, at=NOW, **options)


def refuse(data: bytes, kind: PackageType | None = None, trusted=None, **options) -> list[str]:
    """The codes with which a package is refused; fails the test if it is accepted."""
    return [issue.code.value for issue in refusal(data, kind, trusted, **options).issues]


def refusal(
    data: bytes, kind: PackageType | None = None, trusted=None, **options
) -> PackageRefusedError:
    try:
        accept(data, kind, trusted, **options)
    except PackageRefusedError as error:
        return error
    raise AssertionError("the package was accepted")
