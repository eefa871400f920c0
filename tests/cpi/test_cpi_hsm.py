"""Keys in hardware, by SoftHSM2: what they sign is like what keys in files sign."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pkcs11
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cpi.crypto.keys import SigningKey
from host.cli import main
from host.runtime.plugin_loading import make_plugin_manager
from plugins.pkcs11_hsm.errors import HardwareKeyError, HardwareUriError
from plugins.pkcs11_hsm.uri import parse_uri
from tests.cpi import support
from tests.cpi.support import accept, certificate

LIBRARIES = [
    Path(folder) / "softhsm/libsofthsm2.so"
    for folder in (
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib",
        "/usr/local/lib",
    )
]
LIBRARY = next((path for path in LIBRARIES if path.is_file()), None)
UTILITY = shutil.which("softhsm2-util")
needs_softhsm = pytest.mark.skipif(
    LIBRARY is None or UTILITY is None, reason="SoftHSM2 (package softhsm2) is not installed"
)
PIN = "hardware pin"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SoftHSM2 token with an RSA and an EC key; gives the start of its URIs."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOFTHSM2_CONF", str(configuration))
    patch.setenv("CORDBOX_PKCS11_MODULE", str(LIBRARY))
    softhsm("--init-token", "--free", "--label", "signing", "--so-pin", "so pin", "--pin", PIN)
    for number, (label, key) in enumerate(KEYS.items(), 1):
        pem = folder / f"{label}.pem"
        pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        softhsm(
            *("--import", str(pem), "--token", "signing", "--label", label),
            *("--id", f"0{number}", "--pin", PIN),
        )
    library = pkcs11.lib(str(LIBRARY))
    # The library reads its configuration once in a process.
    library.reinitialize()
    with library.get_token(token_label="signing").open(rw=True, user_pin=PIN) as session:
        for number, label in enumerate(KEYS, 1):
            store(session, CERTIFICATES[label], f"certificate of {label}", bytes([number]))
    yield "pkcs11:token=signing"
    library.finalize()
    patch.undo()


KEYS = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
}
CERTIFICATES = {
    label: certificate(f"CN={label} in hardware,O=Acme,L=London,C=GB", key)
    for label, key in KEYS.items()
}


def store(session, certificate, label: str, key_id: bytes):
    """Put a certificate on the token."""
    session.create_object(
        {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE,
            pkcs11.Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
            pkcs11.Attribute.TOKEN: True,
            pkcs11.Attribute.LABEL: label,
            pkcs11.Attribute.ID: key_id,
            pkcs11.Attribute.SUBJECT: certificate.subject.public_bytes(),
            pkcs11.Attribute.VALUE: certificate.public_bytes(Encoding.DER),
        }
    )


def softhsm(*words: str) -> None:
    subprocess.run((UTILITY or "", *words), check=True, capture_output=True, timeout=30)


def open_key(uri: str, *, pin: str | None = PIN, certificates=()) -> SigningKey:
    hook = make_plugin_manager(("pkcs11_hsm",)).hook
    return hook.register_signing_key(uri=uri, password=pin, certificates=certificates)


@needs_softhsm
@pytest.mark.parametrize("label", ["rsa", "ec"])
def test_a_hardware_key_signs_packages(token: str, label: str) -> None:
    key = open_key(f"{token};object={label}")
    assert key.certificate_chain == (CERTIFICATES[label],)
    assert key.alias == label
    package = support.cpk(key)
    result = accept(package, trusted=(key.anchor,))
    assert result.signers[0].subject == f"CN={label} in hardware,O=Acme,L=London,C=GB"
    by_file = SigningKey(
        private_key=KEYS[label], certificate_chain=key.certificate_chain, alias=label
    )
    same = support.cpk(by_file)
    assert (package == same) == (label == "rsa"), "ECDSA in hardware is random, RSA is not"


@needs_softhsm
def test_a_hardware_key_signs_by_pss(token: str) -> None:
    private = open_key(f"{token};id=%01").private_key
    assert isinstance(private, rsa.RSAPrivateKey)
    for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        signature = private.sign(b"data", scheme, algorithm)
        private.public_key().verify(signature, b"data", scheme, algorithm)
    assert private.key_size == 2048
    assert copy.copy(private) is copy.deepcopy(private) is private


@needs_softhsm
@pytest.mark.parametrize(
    "use",
    [
        lambda rsa_key, _: rsa_key.private_numbers(),
        lambda rsa_key, _: rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        lambda rsa_key, _: rsa_key.decrypt(b"", padding.PKCS1v15()),
        lambda rsa_key, _: rsa_key.sign(b"", padding.PKCS1v15(), hashes.SHA1()),
        lambda rsa_key, _: rsa_key.sign(
            b"", padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None), hashes.SHA256()
        ),
        lambda _, ec_key: ec_key.exchange(ec.ECDH(), ec_key.public_key()),
    ],
)
def test_a_hardware_key_does_nothing_but_sign(token: str, use: Callable) -> None:
    with pytest.raises(UnsupportedAlgorithm):
        use(*(open_key(f"{token};object={label}").private_key for label in ("rsa", "ec")))


@needs_softhsm
@pytest.mark.parametrize(
    ("label", "key_id", "signs"),
    [
        ("another", b"\x09", False),
        ("ec", b"\x09", False),
        ("ec", b"\x02", True),
    ],
)
def test_of_two_certificates_of_a_key_the_one_bound_to_it_signs(
    token: str, label: str, key_id: bytes, signs: bool
) -> None:
    """The key has id 2 and label `ec`: the id goes before the label, both before the id alone."""
    second = certificate("CN=second,O=Acme,C=GB", KEYS["ec"])
    opened = pkcs11.lib(str(LIBRARY)).get_token(token_label="signing")
    with opened.open(rw=True, user_pin=PIN) as session:
        store(session, second, label, key_id)
    try:
        key = open_key(f"{token};object=ec")
    finally:
        with opened.open(rw=True, user_pin=PIN) as session:
            subject = {pkcs11.Attribute.SUBJECT: second.subject.public_bytes()}
            for stored in list(session.get_objects(subject)):
                stored.destroy()
    assert key.certificate_chain == (second if signs else CERTIFICATES["ec"],)
    assert open_key(f"{token};object=ec").certificate_chain == (CERTIFICATES["ec"],)


@needs_softhsm
def test_a_certificate_file_stands_in_and_a_wrong_one_is_refused(token: str) -> None:
    authority = support.authority("CN=Issuer,O=Acme,C=GB")
    issued = certificate("CN=issued,O=Acme,C=GB", KEYS["ec"], authority)
    other = certificate("CN=x,O=Acme,C=GB", ec.generate_private_key(ec.SECP256R1()))
    key = open_key(f"{token};object=ec", certificates=[other, *authority.chain, issued])
    assert key.certificate_chain == (issued, authority.certificate)
    assert accept(support.cpk(key), trusted=authority.chain)
    assert open_key(f"{token};object=rsa", certificates=[other]).certificate_chain == (
        CERTIFICATES["rsa"],
    )


@needs_softhsm
@pytest.mark.parametrize(
    ("rest", "pin", "code", "words"),
    [
        (";object=rsa", "wrong", "hsm-pin", "refuses the PIN"),
        (";object=rsa", None, "hsm-key-not-found", "may need a PIN"),
        (";object=nobody", PIN, "hsm-key-not-found", "names 0 private keys"),
        (";object=rsa;serial=0", PIN, "hsm-unavailable", "0 tokens fit"),
        (";object=rsa?module-path=/no/such.so", PIN, "hsm-unavailable", "is not there"),
        (";object=rsa?module-path=/etc/passwd", PIN, "hsm-unavailable", "/etc/passwd"),
        (";object=rsa?pin-source=env:NO_SUCH", PIN, "hsm-pin", "env:NAME that is set"),
        (";object=rsa?pin-source=file:/no/such", PIN, "hsm-pin", "No such file"),
    ],
)
def test_refusals_name_what_is_wrong(
    token: str, rest: str, pin: str | None, code: str, words: str
) -> None:
    with pytest.raises(HardwareKeyError, match=words) as refused:
        open_key(f"{token}{rest}", pin=pin)
    assert refused.value.code == code
    assert PIN not in refused.value.message


@needs_softhsm
def test_the_pin_may_come_from_a_file_or_variable(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pin").write_text(f"{PIN}\n")
    assert open_key(f"{token};object=ec?pin-source=file:{tmp_path}/pin", pin="wrong")
    monkeypatch.setenv("TOKEN_PIN", PIN)
    assert open_key(f"{token};object=ec?pin-source=env:TOKEN_PIN", pin=None)


@needs_softhsm
def test_from_the_command_line(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PIN", PIN)
    (tmp_path / "app.jar").write_bytes(support.cpk())

    def run(name: str, *words: str) -> int:
        output = ("-f", f"{tmp_path}/{name}", "--output", "json")
        with pytest.raises(SystemExit) as done:
            main(["package", "sign", f"{tmp_path}/app.jar", *output, *words])
        return int(done.value.code or 0)

    keys = ("-k", f"{token};object=rsa", "-k", f"{token};id=%02")
    assert run("wrong.jar", *keys, "-p", "wrong") == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "hsm-pin"
    assert not (tmp_path / "wrong.jar").exists()
    assert run("signed.jar", *keys, "-p", "env:MY_PIN") == 0
    report = json.loads(capsys.readouterr().out)
    assert [signer["key"] for signer in report["signers"]] == ["RSA 2048", "EC P-256"]
    anchors = list(CERTIFICATES.values())
    assert accept((tmp_path / "signed.jar").read_bytes(), trusted=anchors)


def test_without_the_extra_the_refusal_names_it() -> None:
    script = (
        "import sys; sys.modules['pkcs11'] = None\n"
        "from host.cli import main\n"
        "main(['package', 'sign', sys.argv[1], '-f', '/no/such/folder/x', '-k', 'pkcs11:object=a'])"
    )
    done = subprocess.run(
        (sys.executable, "-c", script, __file__),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error[hsm-unavailable]: keys in hardware need the extra `hsm`")


def test_other_schemes_are_left_to_other_plugins() -> None:
    assert open_key("kms:key") is None


def test_uris_are_decoded() -> None:
    uri = parse_uri("pkcs11:token=my%20token;id=%01%ff;type=private?module-path=/lib/x.so")
    assert (uri.token, uri.id, uri.module_path) == ("my token", b"\x01\xff", Path("/lib/x.so"))
    assert str(uri) == "pkcs11:token=my token;id=01ff"


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:",
        "pkcs11:token=x",
        "pkcs11:object=a;object=b",
        "pkcs11:object=a;colour=red",
        "pkcs11:object=a;type=public",
        "pkcs11:object=%zz",
        "pkcs11:object=%ff",
        "pkcs11:object",
        "pkcs11:object=a?pin-value=1234",
        "pkcs11:object=a?module-path=x.so",
        "pkcs11:object=" + "a" * 5000,
        "file:object=a",
    ],
)
def test_uris_that_are_refused(text: str) -> None:
    with pytest.raises(HardwareUriError) as refused:
        parse_uri(text)
    assert refused.value.code == "hsm-uri-invalid"
    assert "1234" not in refused.value.message
