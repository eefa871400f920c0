"""`cordbox keystore`: a key that works everywhere, in a file that only its owner reads."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.keys import load_signing_key
from tests.certificates.making import Shape, certificate, plain_name, private_key
from tests.certificates.stores import Item, store

Run = Callable[..., tuple[int, str, str]]
NAME = "CN=Signer, O=Acme, L=London, C=GB"


def test_create_and_export(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "keys.p12"
    code, _, err = run(
        *("keystore", "create", "--file", file, "--storepass", "secret", "--alias", "k"),
        *("--dname", NAME, "--key-algorithm", "rsa", "--key-size", 2048, "--validity-days", 9),
    )
    assert (code, err) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    key = load_signing_key(file, password="secret", alias="k")
    assert key.private_key.key_size == 2048
    pem = tmp_path / "signer.pem"
    words = ("keystore", "export-certificate", "--file", file, "--storepass", "secret")
    assert run(*words, "--output", pem)[0] == 0
    assert load_pem_certificates(pem.read_bytes(), source="x") == key.certificate_chain
    code, out, _ = run(*words)
    assert out == pem.read_text()


def test_refusals(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "keys.p12"
    base = ("keystore", "create", "--file", file, "--storepass", "secret", "--dname")
    code, _, err = run(*base, "nonsense")
    assert (code, "error[keystore-invalid]" in err) == (1, True)
    assert not file.exists()
    assert run(*base, NAME, "--key-algorithm", "DSA")[0] == 2
    assert run(*base, NAME)[0] == 0
    before = file.read_bytes()
    code, _, err = run(*base, NAME)
    assert (code, "error[file-exists]" in err) == (1, True)
    assert file.read_bytes() == before


def test_the_subject_is_read_as_keytool_reads_it(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "keys.p12"
    base = ("keystore", "create", "--file", file, "--storepass", "secret", "--dname")
    assert run(*base, 'CN=Signer ;O="Acme, Inc.",L=London, C=GB')[0] == 0
    key = load_signing_key(file, password="secret", alias=None)
    subject = key.certificate_chain[0].subject.rfc4514_string()
    assert subject == "CN=Signer,O=Acme\\, Inc.,L=London,C=GB"


@pytest.mark.parametrize("how", ["option", "variable", "named variable"])
def test_an_empty_password_opens_a_key_store(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    file = tmp_path / "e.p12"
    key = private_key("p256")
    own = certificate(Shape(subject=plain_name("Empty")), key)
    file.write_bytes(store([Item(alias="e", key=key), Item(certificate=own)], ""))
    monkeypatch.setenv("CORDBOX_STOREPASS", "")
    words = ("keystore", "export-certificate", "--file", file)
    if how != "variable":
        monkeypatch.setenv("CORDBOX_STOREPASS", "wrong")
        monkeypatch.setenv("EMPTY", "")
        words += ("--storepass", "" if how == "option" else "env:EMPTY")
    code, out, err = run(*words)
    assert (code, err, "BEGIN CERTIFICATE" in out) == (0, "", True)


def test_names_have_lengths_in_characters(tmp_path: Path, run: Run) -> None:
    base = ("keystore", "create", "--storepass", "secret", "--file", tmp_path / "k.p12", "--dname")
    assert run(*base, f"CN={'Ж' * 65}, O=Acme, C=RU")[0] == 1
    assert run(*base, f"CN={'Ж' * 64}, O=Acme, C=RU")[0] == 0
