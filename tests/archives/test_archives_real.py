"""Real archives are read as Java and `unzip` read them; `make prove-archives` compares all listed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cpi.crypto.keys import load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.errors import PackageRefusedError
from cpi.package.verify import verify_package
from tests.archives.comparison import differences, read_by_java
from tests.archives.real import DownloadError, fetch, listed

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


@pytest.mark.skipif(shutil.which("jarsigner") is None, reason="jarsigner is not installed")
@pytest.mark.network
@pytest.mark.timeout(7200 if WHOLE else 300)
def test_real_jars_that_jarsigner_signs_are_accepted(tmp_path: Path) -> None:
    jars = [each for each in listed() if each.is_jar and (each.in_ci or WHOLE)]
    jars = jars if WHOLE else jars[:4]
    try:
        fetch(jars)
    except DownloadError as error:
        pytest.skip(str(error))
    store, signed = tmp_path / "signing.p12", tmp_path / "signed.jar"
    name = "CN=Signer, O=Acme, L=London, C=GB"
    store.write_bytes(create_keystore(password="secret", alias="k", distinguished_name=name))
    anchor = load_signing_key(store, password="secret", alias="k").anchor
    access = ["-keystore", store, "-storepass", "secret"]
    wrong = {}
    for each in jars:
        subprocess.run(
            ["jarsigner", *access, "-signedjar", signed, each.path, "k"],
            check=True,
            capture_output=True,
        )
        try:
            verify_package(
                signed.read_bytes(), package_type=None, trusted=[anchor], signature_only=True
            )
            code = None
        except PackageRefusedError as refused:
            code = refused.code
        if code != each.signed_again:
            wrong[each.name] = code
    assert not wrong


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
