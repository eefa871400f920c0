"""Certificates of the development authority, and of authorities that are commands."""

import ssl
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from host.domain.errors import InvalidInputError
from host.tools.network.authority import (
    AuthorityFailedError,
    DevelopmentAuthority,
    issue_by_command,
)

KEY = ec.generate_private_key(ec.SECP256R1())


def request(*hosts: str) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name.from_rfc4514_string("CN=Gateway,O=Host 1,C=GB")
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.PEM).decode()


def test_tls_clients_take_what_it_issues(tmp_path: Path) -> None:
    authority = DevelopmentAuthority(tmp_path / "ca")
    chain = tmp_path / "chain.pem"
    chain.write_text(
        authority.issue(request("alice.example"))
        + KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    )
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.load_cert_chain(chain)
    client.load_verify_locations(cadata=authority.root)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert talk(server, client, "alice.example") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        talk(server, client, "bob.example")


def talk(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str | None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    here = client.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(3):
        for end in (here, there):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return here.version()


def test_the_authority_of_a_folder_stays(tmp_path: Path) -> None:
    first, again = (DevelopmentAuthority(tmp_path / "ca") for _ in range(2))
    assert first.root == again.root
    assert (tmp_path / "ca" / "ca-key.pem").stat().st_mode & 0o077 == 0
    other = DevelopmentAuthority(tmp_path / "other")
    assert other.root != first.root


def test_an_authority_may_be_a_command() -> None:
    echo = (
        f'{sys.executable} -c "import sys; print(sys.stdin.read().replace(chr(32) + chr(82)'
        f"+ 'EQUEST', ''))\""
    )
    assert "BEGIN CERTIFICATE-----" in issue_by_command(echo)(request())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/nowhere/ca", "No such file"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"no such subject\")'", "no such subject"),
        (f"{sys.executable} -c 'print(1)'", "wrote no certificate"),
    ],
)
def test_a_command_that_fails_is_named_with_its_reason(command: str, words: str) -> None:
    with pytest.raises(AuthorityFailedError, match=words):
        issue_by_command(command)(request())


@pytest.mark.parametrize("command", ["", "'", "   "])
def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(InvalidInputError, match="command"):
        issue_by_command(command)
