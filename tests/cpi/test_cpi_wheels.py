"""Archives that other people's tools wrote: popular wheels all pass the strict reader.

The wheels are those of this project's own lock, by hash. They are downloaded once, by pip, into
build/test-wheels; without a network the test is skipped.
"""

import hashlib
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cpi.archive.reading import read_archive

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "test-wheels"
NAMES = [
    "annotated-types",
    "anyio",
    "asn1crypto",
    "attrs",
    "cffi",
    "click",
    "cryptography",
    "execnet",
    "fastapi",
    "h11",
    "hatchling",
    "hypothesis",
    "idna",
    "iniconfig",
    "jinja2",
    "jsonschema",
    "jsonschema-specifications",
    "markdown-it-py",
    "markupsafe",
    "mdurl",
    "msgspec",
    "mypy-extensions",
    "packaging",
    "pathspec",
    "pluggy",
    "prometheus-client",
    "pycparser",
    "pydantic",
    "pydantic-core",
    "pygments",
    "pytest",
    "pytest-xdist",
    "python-multipart",
    "pyyaml",
    "referencing",
    "rich",
    "rpds-py",
    "sortedcontainers",
    "sqlalchemy",
    "starlette",
    "structlog",
    "tomlkit",
    "trove-classifiers",
    "typing-extensions",
    "uvicorn",
    "zstandard",
]
_BLOCK = re.compile(r"^([a-z0-9-]+)==\S+.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_SECONDS_MAX = 50


def locked() -> dict[str, str]:
    """Requirements with hashes, by name, from both locks."""
    blocks: dict[str, str] = {}
    for lock in ("requirements-dev.lock", "requirements.lock"):
        text = (ROOT / lock).read_text(encoding="utf-8")
        blocks |= {match[1]: match[0] for match in _BLOCK.finditer(text)}
    return blocks


@pytest.fixture(scope="module")
def wheels() -> list[bytes]:
    blocks = locked()
    wanted = "".join(blocks[name] for name in NAMES)
    label = CACHE / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    if not (label / "complete").exists():
        label.mkdir(parents=True, exist_ok=True)
        requirements = label / "requirements.txt"
        requirements.write_text(wanted, encoding="utf-8")
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        words += ["--disable-pip-version-check", "--retries", "0", "--timeout", "5"]
        words += ["--only-binary=:all:", "--require-hashes", "-r", requirements, "-d", label]
        try:
            done = subprocess.run(
                words, check=False, capture_output=True, text=True, timeout=_SECONDS_MAX
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"pip did not download the wheels in {_SECONDS_MAX} s")
        if done.returncode:
            pytest.skip(f"pip cannot download the wheels: {done.stderr.strip()[-200:]}")
        (label / "complete").touch()
    return [path.read_bytes() for path in sorted(label.glob("*.whl"))]


@pytest.mark.network
@pytest.mark.slow
def test_popular_wheels_pass_the_strict_reader(wheels: list[bytes]) -> None:
    assert len(wheels) == len(NAMES) >= 30
    for data in wheels:
        archive = read_archive(data)
        with zipfile.ZipFile(io.BytesIO(data)) as other:
            assert [entry.name for entry in archive.entries] == other.namelist()
            for entry in archive.entries:
                digest = hashlib.sha256(other.read(entry.name)).digest()
                assert archive.digest(entry.name, "sha256") == digest
