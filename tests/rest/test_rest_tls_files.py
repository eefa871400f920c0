"""Certificates for HTTPS: only a good pair is used, and a changed one is read while the host runs."""

import datetime as dt
import ssl

import pytest
import structlog
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from structlog.testing import LogCapture

from host.rest.tls import ServerCertificate
from host.rest.tls_files import (
    Certificates,
    TlsCertificateExpiredError,
    TlsCertificateNotYetValidError,
    TlsFilesError,
    TlsFileUnreadableError,
    TlsKeyEncryptedError,
    TlsKeyMismatchError,
    check_files,
    is_named,
)
from host.rest.wire import instant

DAY = dt.timedelta(days=1)
DAY_MS = 24 * 3600 * 1000


def pem_of(key, password=None):
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


class Folder:
    """A certificate and a key below a folder, as a test wants them."""

    def __init__(self, folder, clock):
        self.files = ServerCertificate(
            certificate_file=folder / "chain.pem", private_key_file=folder / "key.pem"
        )
        self.now = instant(clock.now_ms())

    def write(self, *, begins=-DAY, ends=90 * DAY, names=("127.0.0.1.example",), password=None):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now + begins)
            .not_valid_after(self.now + ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
            .sign(key, hashes.SHA256())
        )
        self.files.certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
        self.files.private_key_file.write_bytes(pem_of(key, password))
        self.files.private_key_file.chmod(0o600)
        return self

    def check(self):
        return check_files(self.files, now=self.now)


@pytest.fixture
def folder(tmp_path, clock):
    return Folder(tmp_path, clock).write()


@pytest.fixture
def lines():
    capture = LogCapture()
    structlog.configure(processors=[capture])
    return capture.entries


def refused(folder, kind, named):
    with pytest.raises(TlsFilesError) as caught:
        folder.check()
    assert type(caught.value) is kind
    assert named in caught.value.message


def test_a_good_pair_is_used(folder):
    assert isinstance(folder.check().context, ssl.SSLContext)


@pytest.mark.parametrize("name", ["chain.pem", "key.pem"])
@pytest.mark.parametrize("damage", ["missing", "garbage", "empty", "folder"])
def test_a_file_that_is_none_is_named(folder, tmp_path, name, damage):
    (tmp_path / name).unlink()
    if damage == "folder":
        (tmp_path / name).mkdir()
    elif damage != "missing":
        (tmp_path / name).write_bytes(b"\x00\xffgarbage" if damage == "garbage" else b"")
    refused(folder, TlsFileUnreadableError, str(tmp_path / name))


def test_files_that_were_mixed_up_are_named(folder, tmp_path):
    chain, key = (tmp_path / "chain.pem").read_bytes(), (tmp_path / "key.pem").read_bytes()
    (tmp_path / "chain.pem").write_bytes(key)
    (tmp_path / "key.pem").write_bytes(chain)
    refused(folder, TlsFileUnreadableError, "chain.pem holds no PEM certificate")


def test_the_key_of_another_certificate_is_refused(folder):
    folder.files.private_key_file.write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))
    refused(folder, TlsKeyMismatchError, "key.pem")


def test_an_encrypted_key_is_refused_and_asks_nobody(folder):
    folder.write(password=b"secret")
    refused(folder, TlsKeyEncryptedError, "key.pem")


def test_dates_are_checked(folder):
    folder.write(begins=-2 * DAY, ends=-DAY)
    refused(folder, TlsCertificateExpiredError, "chain.pem")
    folder.write(begins=DAY)
    refused(folder, TlsCertificateNotYetValidError, "chain.pem")


def test_a_key_that_the_library_takes_for_weak_is_refused(folder, tmp_path):
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    issued = authority.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    folder.files.private_key_file.write_bytes(issued.private_key_pem.bytes())
    folder.files.certificate_file.write_bytes(
        b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    )
    folder.now = dt.datetime.now(dt.UTC)
    folder.check()
    good = issued.cert_chain_pems[0].bytes()
    folder.files.certificate_file.write_bytes(good + b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    with pytest.raises(TlsFilesError, match=r"chain\.pem"):
        folder.check()


@pytest.mark.parametrize(
    ("host", "names", "fits"),
    [
        ("h.example", {"h.example"}, True),
        ("H.example", {"*.example"}, True),
        ("127.0.0.1", {"127.0.0.1"}, True),
        ("127.0.0.1", {"localhost"}, False),
        ("0.0.0.0", {"h.example"}, True),
        ("0.0.0.0", set(), False),
        ("a.b.example", {"*.example"}, False),
    ],
)
def test_names_are_compared_with_where_the_host_listens(host, names, fits):
    assert is_named(host, frozenset(names)) is fits


def test_another_name_and_a_near_end_are_warned_of(folder, clock, lines):
    certificates = Certificates(folder.files, clock, listen_host="h.example")
    assert certificates.warning() is None
    clock.advance(61 * DAY_MS)
    for _ in range(3):
        certificates.look()
    assert "expires" in certificates.warning()
    assert 28 * DAY.total_seconds() < certificates.seconds_left() < 30 * DAY.total_seconds()
    clock.advance(DAY_MS)
    certificates.look()
    assert [line["event"] for line in lines] == [
        "certificate-names-another",
        "certificate-expires",
        "certificate-expires",
    ]
    clock.advance(60 * DAY_MS)
    assert "expired" in certificates.warning()
    assert certificates.seconds_left() < 0


@pytest.mark.parametrize(
    ("mode", "warns"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o602, 1), (0o666, 1)]
)
def test_a_key_for_everybody_is_warned_of(folder, clock, lines, mode, warns):
    folder.files.private_key_file.chmod(mode)
    certificates = Certificates(folder.files, clock, listen_host="127.0.0.1.example")
    named = [(line["event"], line["file"], line["mode"]) for line in lines]
    expected = ("private-key-exposed", str(folder.files.private_key_file), f"{mode:04o}")
    assert named == [expected] * warns
    assert certificates.reread()  # also for new files
    assert len([line for line in lines if line["event"] == "private-key-exposed"]) == 2 * warns


def test_changed_files_are_read_once_they_rest(folder, clock, lines):
    certificates = Certificates(folder.files, clock, listen_host="127.0.0.1.example")
    before = certificates.context()
    folder.write(ends=200 * DAY)
    certificates.look()
    assert certificates.context() is before
    certificates.look()
    assert certificates.context() is not before
    assert [line["event"] for line in lines] == ["certificate-reread"]
    certificates.look()
    assert len(lines) == 1


def test_a_new_pair_that_is_not_good_leaves_the_old_one(folder, clock, lines):
    certificates = Certificates(folder.files, clock, listen_host="127.0.0.1.example")
    before = certificates.context()
    folder.write(password=b"secret")
    assert not certificates.reread()
    folder.files.certificate_file.unlink()
    assert not certificates.reread()
    assert certificates.context() is before
    assert [(line["event"], line["code"]) for line in lines] == [
        ("certificate-refused", "tls-key-encrypted"),
        ("certificate-refused", "tls-file-unreadable"),
    ]
    folder.write()
    assert certificates.reread()
    assert certificates.context() is not before
