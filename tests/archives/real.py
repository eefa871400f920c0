"""The archives of `archives.toml`, downloaded once to `build/archives` by the registries' clients."""

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.maven import MavenUnavailableError, fetch_artifacts

_ROOT = Path(__file__).resolve().parent.parent.parent
_LIST = Path(__file__).parent / "archives.toml"
_FOLDER = _ROOT / "build" / "archives"
_DOWNLOAD_S, _DOWNLOAD_EACH_S = 40, 5


class DownloadError(Exception):
    """An archive cannot be downloaded here; the message begins as `.ci/skips-allowed` says."""


@dataclass(frozen=True)
class RealArchive:
    """One entry of the list.

    Attributes:
        name: `group:artifact:version` or the file name of a wheel.
        sha256: of the file, in hexadecimal.
        in_ci: read in every run of the tests, not only by `make prove-archives`.
        differs: how Cordbox's verdict differs from Java's.
        signed_again: the code by which the JAR is refused when `jarsigner` has signed it as well.
    """

    name: str
    sha256: str
    in_ci: bool
    differs: str | None
    signed_again: str | None

    @property
    def is_jar(self) -> bool:
        return not self.name.endswith(".whl")

    @property
    def path(self) -> Path:
        if not self.is_jar:
            return _FOLDER / self.name
        _, artifact, version = self.name.split(":")
        return _FOLDER / f"{artifact}-{version}.jar"


def listed() -> list[RealArchive]:
    """The whole list."""
    rows = tomllib.loads(_LIST.read_text(encoding="utf-8"))
    return [
        RealArchive(
            name=row["file"] if kind == "wheel" else f"{row['name']}:{row['version']}",
            sha256=row["sha256"],
            in_ci=row.get("ci", False),
            differs=row.get("differs"),
            signed_again=row.get("signed-again"),
        )
        for kind in ("jar", "signed", "wheel")
        for row in rows[kind]
    ]


def fetch(archives: Sequence[RealArchive]) -> None:
    """Download what is missing, and check the sums of all.

    Raises:
        DownloadError: an archive cannot be downloaded.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    missing = [each for each in archives if not each.path.exists()]
    _fetch_jars([each for each in missing if each.is_jar])
    _fetch_wheels([each for each in missing if not each.is_jar])
    for each in archives:
        found = hashlib.sha256(each.path.read_bytes()).hexdigest()
        assert found == each.sha256, f"{each.name} has SHA-256 {found}"


def _limit(archives: Sequence[RealArchive]) -> float:
    return _DOWNLOAD_S + _DOWNLOAD_EACH_S * len(archives)


def _fetch_jars(jars: Sequence[RealArchive]) -> None:
    if not jars:
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            paths = fetch_artifacts([j.name for j in jars], Path(folder), timeout_s=_limit(jars))
        except MavenUnavailableError as error:
            raise DownloadError(str(error)) from error
        for each, path in zip(jars, paths, strict=True):
            each.path.write_bytes(path.read_bytes())


def _fetch_wheels(wheels: Sequence[RealArchive]) -> None:
    if not wheels:
        return
    wanted = ["==".join(each.name.split("-")[:2]) for each in wheels]
    platforms = ["manylinux2014_x86_64", "manylinux_2_28_x86_64"]
    try:
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "-q",
                    "--no-deps",
                    "--only-binary=:all:",
                ),
                *(word for platform in platforms for word in ("--platform", platform)),
                *("--python-version", "3.11", "-d", _FOLDER, *wanted),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=_limit(wheels),
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f"pip did not download the wheels in {_limit(wheels)} s") from error
    missing = [each.name for each in wheels if not each.path.exists()]
    if done.returncode or missing:
        raise DownloadError(f"pip did not download the wheels {missing[:5]}: {done.stderr[-400:]}")
