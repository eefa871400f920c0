"""The commands that sign: keys of all sorts, several signers, timestamps, warnings, no leftovers."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from cpi.crypto.keys import SigningKey, load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.package.build import CpkSpec, build_cpk
from cpi.package.group_policy_generation import generate_mgm_policy, generate_static_policy
from tests.cpi import support
from tests.cpi.timestamp_authority import POLICY, TimestampAuthority, serving

Run = Callable[..., tuple[int, str, str]]
PASSWORDS = {"alice": "alice secret", "bob": "bob secret"}
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")


@pytest.fixture
def folder(tmp_path: Path, prepared: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "folder")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keystores and certificates of Alice (EC) and Bob (Ed25519), a CPK of Alice's, policies."""
    tmp_path = tmp_path_factory.mktemp("prepared")
    for name, algorithm in (("alice", "EC"), ("bob", "Ed25519")):
        (tmp_path / f"{name}.p12").write_bytes(
            create_keystore(
                password=PASSWORDS[name],
                alias=name,
                distinguished_name=f"CN={name}, O=Acme, C=GB",
                key_algorithm=algorithm,
            )
        )
        pem = key_of(tmp_path, name).anchor.public_bytes(Encoding.PEM)
        (tmp_path / f"{name}.crt").write_bytes(pem)
    (tmp_path / "app.jar").write_bytes(cpk(key_of(tmp_path, "alice")))
    (tmp_path / "mgm.json").write_text(generate_mgm_policy())
    (tmp_path / "policy.json").write_text(
        generate_static_policy(
            names=["O=A, L=London, C=GB"],
            group_id=None,
            endpoint_url="https://a:1",
            endpoint_protocol=1,
        )
    )
    (tmp_path / "out").mkdir()
    return tmp_path


def key_of(folder: Path, name: str) -> SigningKey:
    return load_signing_key(folder / f"{name}.p12", password=PASSWORDS[name], alias=None)


def cpk(*keys: SigningKey) -> bytes:
    spec = CpkSpec(
        symbolic_name="app",
        version="1.0.0",
        cordapp_kind="contract",
        cordapp_name="App",
        cordapp_version=1,
        vendor="Acme",
        licence="Apache-2.0",
        entries={"x.txt": b"x"},
    )
    return build_cpk(spec, keys)


def of(folder: Path, *names: str) -> tuple[object, ...]:
    words: tuple[object, ...] = ()
    for name in names:
        words += ("--keystore", folder / f"{name}.p12", "--storepass", PASSWORDS[name])
    return words


def sign(folder: Path) -> tuple[object, ...]:
    return ("package", "sign", folder / "app.jar", "-f", folder / "out" / "app.jar")


def warnings(err: str) -> list[str]:
    """The codes of the warnings that are all of a command's standard error."""
    lines = err.splitlines()
    assert all(line.startswith("warning[") for line in lines), err
    return [line.removeprefix("warning[").partition("]")[0] for line in lines]


def signers(run: Run, package: Path) -> list[str]:
    code, out, err = run("package", "inspect", package, "--output", "json")
    assert code == 0, err
    return [signer["subject"].partition(",")[0] for signer in json.loads(out)["signers"]]


def test_a_chain_of_packages_by_two_signers(folder: Path, run: Run) -> None:
    both, out = of(folder, "alice", "bob"), folder / "out"
    words = ("--cpb-name", "app", "--cpb-version", "1", "-f", out / "app.cpb")
    assert run("package", "create-cpb", folder / "app.jar", *words, *both)[0] == 0
    words = ("-g", folder / "policy.json", "--cpi-name", "app", "--cpi-version", "1")
    code, _, err = run("package", "create-cpi", "-c", out / "app.cpb", *words, *both)
    assert (code, warnings(err)) == (0, 2 * ["certificate-self-signed", "timestamp-missing"])
    assert signers(run, out / "app.cpi") == ["CN=alice", "CN=bob"]
    trust = ("--certificate", folder / "alice.crt")
    assert run("package", "verify", out / "app.cpi", *trust)[0] == 1, "Bob must be trusted too"
    trust += ("--certificate", folder / "bob.crt")
    assert run("package", "verify", out / "app.cpi", *trust)[0] == 0


def test_signing_again_replaces_or_keeps(folder: Path, run: Run) -> None:
    out = folder / "out"
    code, _, err = run(*sign(folder), *of(folder, "bob"))
    assert code == 0
    assert "warning[package-identity-changed]" in err
    assert signers(run, out / "app.jar") == ["CN=bob"]
    words = ("package", "sign", out / "app.jar", "-f", out / "kept.jar")
    code, _, _ = run(*words, "--multiple-signatures", "true", *of(folder, "alice"))
    assert code == 0
    assert signers(run, out / "kept.jar") == ["CN=bob", "CN=alice"]


@pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool is not installed")
def test_several_keys_of_one_keystore_by_alias(folder: Path, run: Run) -> None:
    store = folder / "both.p12"
    access = ("-keystore", str(store), "-storepass", "changeit")
    for name in ("one", "two"):
        subprocess.run(
            (
                *("keytool", "-genkeypair", "-keyalg", "EC", "-alias", name, *access),
                *("-dname", f"CN={name}, O=Acme, C=GB"),
            ),
            check=True,
            capture_output=True,
            timeout=60,
        )
    words = (*sign(folder), "--keystore", store, "--storepass", "changeit")
    code, _, err = run(*words)
    assert (code, "name one of them" in err) == (1, True)
    assert run(*words, "--key", "two", "--key", "one")[0] == 0
    assert signers(run, folder / "out" / "app.jar") == ["CN=two", "CN=one"]


def test_a_key_in_pem_with_its_chain_apart(folder: Path, run: Run) -> None:
    leaf, *issuers = support.alice().certificate_chain
    own = support.alice().private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    (folder / "key.pem").write_bytes(own)
    chain = b"".join(c.public_bytes(Encoding.PEM) for c in (leaf, *issuers))
    (folder / "chain.pem").write_bytes(chain)
    words = (*sign(folder), "--keystore", folder / "key.pem", "--storepass", "x")
    code, _, err = run(*words)
    assert (code, "no certificate of it" in err) == (1, True)
    assert list((folder / "out").iterdir()) == []
    code, _, err = run(*words, "--certificate-file", folder / "chain.pem")
    assert code == 0, err
    assert signers(run, folder / "out" / "app.jar") == ["CN=Alice"]


def test_a_password_with_spaces_from_the_environment(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORDBOX_STOREPASS", PASSWORDS["alice"])
    assert run(*sign(folder), "--keystore", folder / "alice.p12")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "give --keystore FILE"),
        (("--key", "alice"), 2, "give --keystore FILE"),
        (("-s", "{f}/alice.p12"), 1, "error[keystore-password]"),
        (("-s", "{f}/alice.p12", "-p", "wrong"), 1, "error[keystore-password]"),
        (("-s", "{f}/alice.p12", "-p", "alice secret", "-k", "x"), 1, "keystore-alias-unknown"),
        (("-s", "{f}/alice.p12", "-p", "alice secret", "--sig-file", "a", "-k", "alice", "-k", "alice"), 1, "signer-name-taken"),
        (("-s", "{f}/alice.p12", "-s", "{f}/bob.p12", "-k", "alice"), 2, "2 keystores, but 1 aliases"),
        (("-s", "{f}/alice.p12", "-p", "a", "-p", "b"), 2, "1 keystores and hardware keys, but 2"),
        (("-s", "{f}/alice.p12", "-p", "alice secret", "--tsa", "ftp://a"), 1, "error[timestamp-unavailable]"),
        (("-s", "{f}/alice.p12", "-p", "alice secret", "--tsa", "http://127.0.0.1:1/"), 1, "error[timestamp-unavailable]"),
        (("-s", "{f}/alice.p12", "-p", "alice secret", "--tsa-policy", "1.2"), 2, "needs --tsa"),
        (("-k", "pkcs11:object=a", "-k", "alice"), 2, "give --keystore FILE"),
        (("-k", "pkcs11:object=a?pin-value=1"), 1, "error[hsm-uri-invalid]"),
        (("-k", "pkcs11:object=a?module-path=/no/such.so"), 1, "error[hsm-unavailable]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["sign", "create-cpb", "create-cpi"])
def test_no_refusal_leaves_a_file(
    folder: Path, run: Run, command: str, words: tuple[str, ...], code: int, message: str
) -> None:
    output = ("-f", folder / "out" / "x")
    inputs: dict[str, tuple[object, ...]] = {
        "sign": (folder / "app.jar",),
        "create-cpb": (folder / "app.jar", "--cpb-name", "a", "--cpb-version", "1"),
        "create-cpi": ("-g", folder / "mgm.json", "--cpi-name", "a", "--cpi-version", "1"),
    }
    filled = [word.format(f=folder) for word in words]
    found, _, err = run("package", command, *inputs[command], *output, *filled)
    text = " ".join(err.replace("│", " ").split())
    assert (found, message in text) == (code, True), text
    assert list((folder / "out").iterdir()) == []


def test_a_failed_write_leaves_no_file(folder: Path, run: Run) -> None:
    (folder / "out").rmdir()
    before = sorted(folder.iterdir())
    code, _, err = run(*sign(folder), *of(folder, "alice"))
    assert (code, "error[file-access]" in err) == (1, True)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("output", ["text", "json"])
def test_warnings_are_told_when_signing(folder: Path, run: Run, output: str) -> None:
    """A chain of two, and a certificate that expires in a week."""
    issuer = support.authority("CN=CA,O=Acme,C=GB", end=datetime.now(UTC) + timedelta(days=999))
    soon = datetime.now(UTC) + timedelta(days=7)
    made = support.certificate("CN=soon,O=Acme,C=GB", support.bob().private_key, issuer, end=soon)
    key = support.bob().private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    chain = [c.public_bytes(Encoding.PEM) for c in (made, issuer.certificate)]
    (folder / "soon.pem").write_bytes(b"".join([key, *chain]))
    target = folder / "out" / "mgm.cpi"
    code, out, err = run(
        *("package", "create-cpi", "-g", folder / "mgm.json", "--cpi-name", "m", "-f", target),
        *("--cpi-version", "1", "-s", folder / "soon.pem", "-p", "x", "--output", output),
    )
    assert code == 0, err
    expected = ["certificate-expires-soon", "timestamp-missing", "certificate-chain-in-identity"]
    if output == "json":
        assert [w["code"] for w in json.loads(out)["warnings"]] == expected
        assert err == ""
    else:
        assert warnings(err) == expected


def test_an_expired_certificate_signs_nothing(folder: Path, run: Run) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    made = support.certificate("CN=past,O=Acme,C=GB", support.bob().private_key, end=past)
    key = support.bob().private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    (folder / "past.pem").write_bytes(key + made.public_bytes(Encoding.PEM))
    code, _, err = run(*sign(folder), "-s", folder / "past.pem", "-p", "x")
    assert (code, "error[certificate-not-valid-now]" in err) == (1, True)
    assert list((folder / "out").iterdir()) == []


def test_what_is_packed_is_checked_first(folder: Path, run: Run) -> None:
    data = (folder / "app.jar").read_bytes()
    (folder / "app.jar").write_bytes(data.replace(b"x.txt", b"y.txt"))
    words = ("--cpb-name", "a", "--cpb-version", "1", "-f", folder / "out" / "x")
    code, _, err = run("package", "create-cpb", folder / "app.jar", *words, *of(folder, "alice"))
    assert (code, "app.jar" in err) == (1, True)
    assert run(*sign(folder), *of(folder, "alice"))[0] == 1
    assert list((folder / "out").iterdir()) == []


@needs_openssl
def test_timestamps(folder: Path, run: Run) -> None:
    tsa = TimestampAuthority(folder / "tsa")
    root = folder / "tsa" / "root.pem"
    out = folder / "out" / "app.jar"
    with serving(tsa) as url:
        words = (*sign(folder), *of(folder, "alice"), "--tsa", url)
        code, _, err = run(*words)
        assert (code, "error[signer-not-trusted]" in err, "TSA" in err) == (1, True, True)
        assert not out.exists()
        code, _, err = run(*words, "--certificate", root, "--tsa-policy", "1.2.3.4.9")
        assert (code, "error[timestamp-invalid]" in err) == (1, True)
        assert not out.exists()
        code, _, err = run(*words, "--certificate", root, "--tsa-policy", POLICY)
        assert (code, warnings(err)) == (0, ["certificate-self-signed"])
        late = ("--at", "2100-01-01", "--certificate", folder / "alice.crt")
        code, shown, _ = run("package", "verify", out, *late, "--certificate", root)
        assert (code, ", timestamp of 20" in shown) == (0, True)
        assert run("package", "verify", folder / "app.jar", *late)[0] == 1
        for command in ("create-cpb", "create-cpi"):
            inputs = {
                "create-cpb": (out, "--cpb-name", "a", "--cpb-version", "1"),
                "create-cpi": ("-g", folder / "mgm.json", "--cpi-name", "a", "--cpi-version", "1"),
            }
            code, shown, _ = run(
                *("package", command, *inputs[command], "-f", folder / "out" / command),
                *(*of(folder, "alice"), "-t", url, "--certificate", root, "--output", "json"),
            )
            assert code == 0
            (signer,) = json.loads(shown)["signers"]
            assert signer["timestamp"] is not None
