"""`cordbox package`: options, exit codes, reports, and nothing half written."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.keys import SigningKey, load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.jar.signing import sign_entries
from cpi.package.build import CpkSpec, build_cpk
from cpi.package.files import write_new
from cpi.package.group_policy_generation import generate_static_policy

PASSWORD = "store secret"
NAME = "CN=Signer, O=Acme, L=London, C=GB"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    path = tmp_path / "keys.p12"
    path.write_bytes(
        create_keystore(password=PASSWORD, alias="signing key 1", distinguished_name=NAME)
    )
    key = load_signing_key(path, password=PASSWORD, alias=None)
    (tmp_path / "signer.pem").write_bytes(key.anchor.public_bytes(Encoding.PEM))
    return key


@pytest.fixture
def folder(tmp_path: Path, key: SigningKey) -> Path:
    (tmp_path / "GroupPolicy.json").write_text(
        generate_static_policy(
            names=["O=Alice, L=London, C=GB"],
            group_id=None,
            endpoint_url="https://localhost:1",
            endpoint_protocol=1,
        )
    )
    (tmp_path / "app.jar").write_bytes(cpk(key))
    return tmp_path


def cpk(key: SigningKey, name: str = "app") -> bytes:
    spec = CpkSpec(
        symbolic_name=name,
        version="1.0.0",
        cordapp_kind="contract",
        cordapp_name="App",
        cordapp_version=1,
        vendor="Acme",
        licence="Apache-2.0",
        entries={"x.txt": b"x"},
    )
    return build_cpk(spec, [key])


def signing(folder: Path) -> tuple[str, ...]:
    return ("--keystore", f"{folder}/keys.p12", "--storepass", PASSWORD, "--key", "signing key 1")


UNSTAMPED = ["certificate-self-signed", "timestamp-missing"]
"""What a key is warned of that signs without a timestamp, by a certificate of its own."""


def warnings(err: str) -> list[str]:
    """The codes of the warnings that are all of a command's standard error."""
    lines = err.splitlines()
    assert all(line.startswith("warning[") for line in lines), err
    return [line.removeprefix("warning[").partition("]")[0] for line in lines]


@pytest.fixture
def cpb(folder: Path, run: Run) -> Path:
    code, out, err = run(
        *("package", "create-cpb", folder / "app.jar", "--cpb-name", "app"),
        *("--cpb-version", "1.0", "--file", folder / "app.cpb", *signing(folder)),
    )
    assert (code, warnings(err)) == (0, UNSTAMPED)
    assert "CPB app 1.0" in out
    return folder / "app.cpb"


@pytest.fixture
def cpi(folder: Path, cpb: Path, run: Run) -> Path:
    code, _, err = run(
        *("package", "create-cpi", "--cpb", cpb, "-g", folder / "GroupPolicy.json"),
        *("--cpi-name", "app", "--cpi-version", "1.0", *signing(folder)),
    )
    assert (code, warnings(err)) == (0, UNSTAMPED)
    return folder / "app.cpi"


def test_verify_accepts_with_certificate_or_keystore(cpi: Path, folder: Path, run: Run) -> None:
    code, out, _ = run("package", "verify", cpi, "--certificate", folder / "signer.pem")
    assert code == 0
    assert "valid CPI app 1.0" in out
    assert "CN=Signer,O=Acme,L=London,C=GB" in out
    assert run("package", "verify", cpi, "-s", folder / "keys.p12", "-p", PASSWORD)[0] == 0


def test_verify_reports_json(cpi: Path, folder: Path, run: Run) -> None:
    arguments = (
        "package",
        "verify",
        cpi,
        "--certificate",
        folder / "signer.pem",
        "--output",
        "json",
    )
    code, out, err = run(*arguments)
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["valid"] is True
    assert report["type"] == "CPI"
    assert report["errors"] == []
    assert report["signers"][0]["key"] == "EC P-256"
    assert report["cpkSignerSummaryHash"] == report["cpiSignerSummaryHash"]
    assert report["fileChecksum"].startswith("SHA-256:")
    cpi.write_bytes(cpi.read_bytes()[:-30])
    code, out, _ = run(*arguments)
    report = json.loads(out)
    assert code == 1
    assert report["valid"] is False
    assert [e["code"] for e in report["errors"]] == ["archive-layout"]


def test_verify_refuses_with_one_line_per_reason(
    cpi: Path, folder: Path, run: Run, tmp_path: Path
) -> None:
    other = tmp_path / "other.p12"
    other.write_bytes(create_keystore(password="p", alias="a", distinguished_name=NAME))
    code, out, err = run("package", "verify", cpi, "-s", other, "-p", "p")
    assert (code, out) == (1, "")
    assert err.startswith(f"error[signer-not-trusted]: {cpi}: ")
    assert err.count("\n") == 1


def test_verify_takes_the_file_as_corda_cli_does(
    cpi: Path, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = ("--certificate", folder / "signer.pem")
    assert run("package", "verify", "--file", str(cpi), *trust)[0] == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(cpi.read_bytes())))
    assert run("package", "verify", "-f", "-", "--type", "CPI", *trust)[0] == 0
    assert run("package", "verify", str(cpi), "--file", str(cpi), *trust)[0] == 2
    assert run("package", "verify", *trust)[0] == 2


def test_verify_at_another_time(cpi: Path, folder: Path, run: Run) -> None:
    base = ("package", "verify", cpi, "--certificate", folder / "signer.pem", "--at")
    assert run(*base, "2050-01-01")[0] == 1
    assert run(*base, "2027-01-01T00:00:00+01:00")[0] == 0
    assert run(*base, "yesterday")[0] == 2


def test_verify_type_and_signature_only(cpi: Path, folder: Path, run: Run) -> None:
    trust = ("--certificate", folder / "signer.pem")
    assert run("package", "verify", folder / "app.jar", *trust)[0] == 0
    assert run("package", "verify", cpi, *trust, "--type", "cpb")[0] == 1
    code, out, _ = run("package", "verify", cpi, *trust, "--signature-only")
    assert code == 0
    assert "valid signatures of a CPI; nothing else was checked" in out


def test_signature_only_says_of_a_foreign_jar_what_was_checked(
    folder: Path, key: SigningKey, run: Run
) -> None:
    """Never that it is valid as a package, also if the file is named like one."""
    jar, cpi_by_name = folder / "foreign.jar", folder / "foreign.cpi"
    jar.write_bytes(sign_entries({}, {"a.txt": b"x"}, [key]))
    cpi_by_name.write_bytes(jar.read_bytes())
    trust = ("--certificate", folder / "signer.pem")
    code, out, _ = run("package", "verify", jar, *trust, "--signature-only")
    assert (code, out.splitlines()[0]) == (
        0,
        f"{jar}: valid signatures of a JAR that is no Corda package; nothing else was checked",
    )
    _, out, _ = run("package", "verify", jar, *trust, "--signature-only", "--output", "json")
    report = json.loads(out)
    assert (report["type"], report["signatureOnly"]) == (None, True)
    for words in ((jar, "--type", "cpi"), (cpi_by_name,)):
        code, out, err = run("package", "verify", *words, *trust, "--signature-only")
        assert (code, out) == (1, "")
        assert "error[package-type]" in err
        assert "expected a CPI, the manifest has no attribute Corda-CPI-Format" in err
    code, out, err = run("package", "verify", jar, *trust)
    assert (code, out) == (1, "")
    assert "error[package-type]" in err


@pytest.mark.parametrize(
    "words",
    [
        ("{cpi}",),
        ("{cpi}", "--keystore", "{folder}/keys.p12"),
        ("{folder}/missing.cpi", "--certificate", "{folder}/signer.pem"),
        ("{cpi}", "--type", "ZIP", "--certificate", "{folder}/signer.pem"),
        (),
    ],
)
def test_verify_wrong_usage(cpi: Path, folder: Path, run: Run, words: tuple[str, ...]) -> None:
    filled = [word.format(cpi=cpi, folder=folder) for word in words]
    assert run("package", "verify", *filled)[0] == 2


def test_inspect_shows_what_is_inside(cpi: Path, run: Run) -> None:
    code, out, _ = run("package", "inspect", cpi)
    assert code == 0
    for text in ("CPI app 1.0", "contract CPK", "SHA-256:", "O=Alice, L=London, C=GB", "static"):
        assert text in out
    code, out, _ = run("package", "inspect", cpi, "--output", "json")
    report = json.loads(out)
    assert report["id"]["name"] == "app"
    assert report["size"] == cpi.stat().st_size
    assert report["cpks"][0]["entries"]["x.txt"] == 1
    assert report["groupPolicy"]["kind"] == "static"
    assert report["trust"] == "not judged"


def test_inspect_refuses_a_broken_package(cpi: Path, run: Run) -> None:
    cpi.write_bytes(cpi.read_bytes().replace(b"app.cpb", b"apq.cpb"))
    code, _, err = run("package", "inspect", cpi)
    assert code == 1
    assert err.startswith("error[")


def test_sign_replaces_or_adds(cpi: Path, folder: Path, run: Run, tmp_path: Path) -> None:
    bob = tmp_path / "bob.p12"
    bob.write_bytes(
        create_keystore(password="p", alias="bob", distinguished_name="CN=Bob, O=Acme, C=GB")
    )
    base = ("package", "sign", cpi, "-s", bob, "-p", "p", "--file")
    code, out, _ = run(*base, folder / "two.cpi", "--multiple-signatures", "true")
    assert code == 0
    assert "CN=Signer" in out
    assert "CN=Bob" in out
    code, out, _ = run(*base, folder / "one.cpi", "--sig-file", "other")
    assert code == 0
    assert "CN=Signer" not in out
    trust = ("--certificate", folder / "signer.pem")
    assert run("package", "verify", folder / "two.cpi", *trust)[0] == 1, "Bob is not trusted"
    assert run("package", "verify", folder / "two.cpi", *trust, "-s", bob, "-p", "p")[0] == 0


def test_written_packages_are_reported_as_json(folder: Path, run: Run) -> None:
    code, out, _ = run(
        *("package", "create-cpb", folder / "app.jar", "--cpb-name", "app", "--cpb-version", "1"),
        *("--file", folder / "json.cpb", "--output", "json", *signing(folder)),
    )
    report = json.loads(out)
    assert (code, report["type"], report["id"]["name"]) == (0, "CPB", "app")
    assert report["size"] == (folder / "json.cpb").stat().st_size


def test_what_is_packed_is_verified_first(folder: Path, run: Run, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.p12"
    stranger.write_bytes(create_keystore(password="p", alias="a", distinguished_name=NAME))
    foreign = load_signing_key(stranger, password="p", alias=None)
    (folder / "foreign.jar").write_bytes(cpk(foreign, "foreign"))
    (folder / "stranger.pem").write_bytes(foreign.anchor.public_bytes(Encoding.PEM))
    words = (
        *("package", "create-cpb", folder / "app.jar", folder / "foreign.jar"),
        *("--cpb-name", "a", "--cpb-version", "1", "-f", folder / "x.cpb", *signing(folder)),
    )
    code, _, err = run(*words)
    assert code == 1
    assert err.startswith("error[signer-not-trusted]: ")
    assert "foreign.jar" in err
    assert not (folder / "x.cpb").exists()
    assert run(*words, "--certificate", folder / "stranger.pem")[0] == 0


def test_create_cpi_without_cpb(folder: Path, run: Run, monkeypatch) -> None:
    base = ("package", "create-cpi", "--cpi-name", "mgm", "--cpi-version", "1", *signing(folder))
    code, _, err = run(*base, "-g", folder / "GroupPolicy.json")
    assert code == 2
    assert "Must specify an Output File" in err
    code, _, _ = run(*base, "-g", folder / "GroupPolicy.json", "-f", folder / "mgm.cpi")
    assert code == 0
    policy = (folder / "GroupPolicy.json").open("rb")
    with policy:
        monkeypatch.setattr(sys, "stdin", type("In", (), {"buffer": policy})())
        assert run(*base, "-g", "-", "-f", folder / "stdin.cpi")[0] == 0
    assert (folder / "stdin.cpi").read_bytes() == (folder / "mgm.cpi").read_bytes()


def test_a_broken_policy_leaves_nothing_behind(folder: Path, cpb: Path, run: Run) -> None:
    (folder / "bad.json").write_text("{}")
    before = sorted(folder.iterdir())
    code, _, err = run(
        *("package", "create-cpi", "-c", cpb, "-g", folder / "bad.json", "--cpi-name", "a"),
        *("--cpi-version", "1", *signing(folder)),
    )
    assert code == 1
    assert err.startswith(f"error[group-policy-invalid]: {folder / 'bad.json'}: $: 'file")
    assert "$: $:" not in err
    assert sorted(folder.iterdir()) == before


def test_existing_output_is_kept(folder: Path, cpi: Path, cpb: Path, run: Run) -> None:
    before = cpi.read_bytes()
    code, _, err = run(
        *("package", "create-cpi", "-c", cpb, "-g", folder / "GroupPolicy.json", "--cpi-name"),
        *("b", "--cpi-version", "1", *signing(folder)),
    )
    assert code == 1
    assert err.startswith("error[file-exists]: ")
    assert cpi.read_bytes() == before


def test_two_cpks_of_one_file_name(folder: Path, run: Run) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "app.jar").write_bytes((folder / "app.jar").read_bytes())
    code, _, err = run(
        *("package", "create-cpb", folder / "app.jar", folder / "sub" / "app.jar", "--cpb-name"),
        *("a", "--cpb-version", "1", "-f", folder / "x.cpb", *signing(folder)),
    )
    assert code == 2
    assert "app.jar" in err


def test_wrong_password_and_alias(folder: Path, cpi: Path, run: Run) -> None:
    base = ("package", "sign", cpi, "-f", folder / "x.cpi", "-s", folder / "keys.p12")
    code, _, err = run(*base, "-p", "wrong")
    assert (code, "error[keystore-password]" in err) == (1, True)
    code, _, err = run(*base, "-p", PASSWORD, "-k", "nobody")
    assert (code, "error[keystore-alias-unknown]" in err) == (1, True)
    assert not (folder / "x.cpi").exists()


def test_password_from_the_environment(folder: Path, cpi: Path, run: Run, monkeypatch) -> None:
    base = ("package", "verify", cpi, "-s", folder / "keys.p12")
    assert run(*base, "-p", "env:NO_SUCH_VARIABLE")[0] == 2
    monkeypatch.setenv("MY_PASSWORD", PASSWORD)
    assert run(*base, "-p", "env:MY_PASSWORD")[0] == 0
    monkeypatch.setenv("CORDBOX_STOREPASS", PASSWORD)
    assert run(*base)[0] == 0


def test_failed_write_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "no-such-folder" / "x"
    with pytest.raises(FileNotFoundError):
        write_new(target, b"x")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(Exception, match="already exists"):
        write_new(tmp_path / "link", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["link"]
