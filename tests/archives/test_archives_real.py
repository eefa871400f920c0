"""Real archives are read as Java and `unzip` read them; `make prove-archives` compares all listed."""

import os
import shutil
from pathlib import Path

import pytest

from cpi.crypto.certificate import Certificate
from cpi.crypto.keys import load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.errors import PackageRefusedError
from cpi.package.verify import verify_package
from tests.archives.comparison import differences, read_by_java
from tests.archives.real import DownloadError, fetch, listed
from tests.archives.signing import signed_by_java

WHOLE = os.environ.get("CORDBOX_ARCHIVES") == "all"

needs_readers = pytest.mark.skipif(
    shutil.which("java") is None or shutil.which("unzip") is None,
    reason="java or unzip is not installed",
)


def test_the_list_holds_what_it_says() -> None:
    archives = listed()
    assert len({each.name for each in archives}) == len(archives)
    assert sum(each.is_jar for each in archives) == 108
    assert sum(not each.is_jar for each in archives) == 100
    assert 10 <= sum(each.in_ci for each in archives) <= 25


@pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed")
@pytest.mark.network
@pytest.mark.timeout(7200 if WHOLE else 300)
def test_real_jars_that_jarsigner_signs_are_accepted(tmp_path: Path) -> None:
    jars = [each for each in listed() if each.is_jar and (each.in_ci or WHOLE)]
    jars = jars if WHOLE else jars[:4]
    try:
        fetch(jars)
    except DownloadError as error:
        pytest.skip(str(error))
    store = tmp_path / "signing.p12"
    name = "CN=Signer, O=Acme, L=London, C=GB"
    store.write_bytes(create_keystore(password="secret", alias="k", distinguished_name=name))
    anchor = load_signing_key(store, password="secret", alias="k").anchor
    paths = [each.path for each in jars]
    found = [_code_of(jar, anchor) for jar in signed_by_java(paths, store, "secret", "k")]
    wrong = {j.name: c for j, c in zip(jars, found, strict=True) if c != j.signed_again}
    assert not wrong


def _code_of(jar: bytes, anchor: Certificate) -> str | None:
    """By which code `package verify --signature-only` refuses a JAR; None if it does not."""
    try:
        verify_package(jar, package_type=None, trusted=[anchor], signature_only=True)
    except PackageRefusedError as refused:
        return refused.code
    return None


@needs_readers
@pytest.mark.network
@pytest.mark.timeout(3600 if WHOLE else 300)
def test_real_archives_are_read_as_java_and_unzip_read_them() -> None:
    archives = [each for each in listed() if each.in_ci or WHOLE]
    try:
        fetch(archives)
    except DownloadError as error:
        pytest.skip(str(error))
    readings = read_by_java([each.path for each in archives])
    wrong = {}
    for each, java in zip(archives, readings, strict=True):
        found = list(differences(each.path, java, is_jar=each.is_jar))
        if found != ([each.differs] if each.differs else []):
            wrong[each.name] = found
    assert not wrong
