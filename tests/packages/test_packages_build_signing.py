"""`cordapp build` signs like the commands about packages: several keys, PEM, timestamps."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.keys import load_signing_key
from cpi.package.verify import verify_package
from host.cli import main
from tests.cpi import support
from tests.cpi.timestamp_authority import TimestampAuthority, serving
from tests.packages.test_packages_build import component_project


def pem(path: Path, key: Any, end: datetime) -> Path:
    made = support.certificate("CN=pem,O=Acme,C=GB", key, end=end)
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(plain + made.public_bytes(Encoding.PEM))
    return path


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_two_signers_with_timestamps(keystore: Any, tmp_path: Path, component: Any) -> None:
    key = support.bob().private_key
    second = pem(tmp_path / "second.pem", key, datetime.now(UTC) + timedelta(days=99))
    tsa = TimestampAuthority(tmp_path / "tsa")
    out = tmp_path / "out"
    project = component_project(tmp_path, component())
    words = ("--keystore", keystore.path, "--keystore", second, "--storepass", keystore.password)
    with serving(tsa) as url:
        build = ("cordapp", "build", project, *words, "--output-dir", out, "--tsa", url)
        assert run(*build) == 1, "the authority is not trusted"
        assert not out.exists() or list(out.iterdir()) == []
        assert run(*build, "--certificate", tmp_path / "tsa" / "root.pem") == 0
    (bundle,) = out.glob("*.cpb")
    own = load_signing_key(keystore.path, password=keystore.password, alias=None)
    trusted = [
        own.anchor,
        tsa.root.certificate,
        *load_pem_certificates(second.read_bytes(), source=""),
    ]
    result = verify_package(bundle.read_bytes(), package_type=None, trusted=trusted)
    for signers in (result.signers, *(cpk.signers for cpk in result.cpks)):
        assert len(signers) == 2
        assert all(signer.timestamp for signer in signers)


def test_certificates_are_judged_before_the_build(
    tmp_path: Path, component: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    project = component_project(tmp_path, component())
    key = support.bob().private_key
    out = tmp_path / "out"
    past = pem(tmp_path / "past.pem", key, datetime.now(UTC) - timedelta(days=1))
    assert run("cordapp", "build", project, "-s", past, "--output-dir", out) == 1
    assert "error[certificate-not-valid-now]" in capsys.readouterr().err
    assert not out.exists()
    soon = pem(tmp_path / "soon.pem", key, datetime.now(UTC) + timedelta(days=9))
    assert run("cordapp", "build", project, "-s", soon, "--output-dir", out) == 0
    assert "warning[certificate-expires-soon]" in capsys.readouterr().err
