"""Generated certificates and key stores: keytool's and jarsigner's verdict is ours, or stricter.

Each run takes the same few; `make prove-certificates` takes 300 random ones, and each dimension by
itself. A difference names its seed: `make prove-certificates SEED=… COUNT=…` repeats it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpi.crypto.certificates import load_der
from cpi.crypto.signer_hash import certificate_rdns, hashed_text
from tests.certificates.cases import KEYS, PASSWORD, SHAPES, SUBJECTS, Case, generated
from tests.certificates.comparing import differences
from tests.certificates.java_tools import HAVE_JAVA, JavaTools, java_tools
from tests.certificates.making import Shape, certificate, plain_name, private_key
from tests.certificates.stores import Item, store

pytestmark = pytest.mark.skipif(not HAVE_JAVA, reason="keytool and jarsigner are not installed")
SEED = os.environ.get("CORDBOX_SEED", "2026")
COUNT = int(os.environ.get("CORDBOX_CERTIFICATES", "16"))
DIFFERED = ("77:26", "20261129:235")
"""Cases that showed a difference once, which their dimensions alone do not."""
PROVE = "CORDBOX_CERTIFICATES" in os.environ


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaTools]:
    with java_tools(tmp_path_factory.mktemp("classes")) as tools:
        yield tools


def test_random_key_stores_have_javas_verdict(java: JavaTools, tmp_path: Path) -> None:
    print(f"CORDBOX_SEED={SEED} CORDBOX_CERTIFICATES={COUNT}")  # noqa: T201
    found = {}
    for seed in (*DIFFERED, *(f"{SEED}:{number}" for number in range(COUNT))):
        case = generated(seed)
        differing = differences(java, case, tmp_path)
        if differing:
            found[seed, case.what] = differing
    assert found == {}


def alone(key: str, subject: str, shape: str) -> Case:
    """A self-signed certificate of one kind, in a plain key store."""
    private = private_key(key)
    plain = Shape(subject=SUBJECTS[subject](plain_name("Release")))
    made = certificate(SHAPES[shape](plain), private)
    own = Item(alias="release", entry_id=b"1", key=private, certificate=made)
    what = (key, f"subject: {subject}", f"shape: {shape}", "chain: self-signed")
    return Case(what=what, data=store([own], PASSWORD), alias="release", leaf=made, trust=made)


DIMENSIONS = [
    *(("p256", subject, "plain") for subject in SUBJECTS),
    *(("p256", "plain", shape) for shape in SHAPES),
    *((key, "plain", "plain") for key in dict.fromkeys(KEYS)),
]


def test_each_dimension_has_javas_verdict(java: JavaTools, tmp_path: Path) -> None:
    found = {}
    for words in DIMENSIONS if PROVE else DIMENSIONS[::5]:
        differing = differences(java, alone(*words), tmp_path)
        if differing:
            found[words] = differing
    assert found == {}


def test_the_text_of_subjects_that_is_hashed_is_javas(java: JavaTools, tmp_path: Path) -> None:
    file, differing = tmp_path / "c.der", {}
    for subject in SUBJECTS:
        der = alone("p256", subject, "plain").leaf
        file.write_bytes(der)
        theirs, ours = java.subject(file), hashed_text(certificate_rdns(load_der(der)))
        if (theirs.code, theirs.text) != (0, ours):
            differing[subject] = theirs.text, ours
    assert differing == {}
