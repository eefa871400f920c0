"""Artifacts of Maven Central for tests, by Maven itself: it knows the mirrors and checks the sums."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_DEPENDENCY = """
<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>
<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>
"""
_PROJECT = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>artifacts</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>{}</dependencies></project>
"""


class MavenUnavailableError(Exception):
    """Maven is not installed, or did not get the artifacts."""


def fetch_artifacts(
    coordinates: Sequence[str], folder: Path, *, timeout_s: float = 100
) -> list[Path]:
    """The JARs of coordinates `group:artifact:version`, in their order, without their dependencies."""
    maven = shutil.which("mvn")
    if maven is None:
        raise MavenUnavailableError("Maven is not installed")
    parts = [each.split(":") for each in coordinates]
    project, output = folder / "pom.xml", folder / "jars"
    project.write_text(_PROJECT.format("".join(_DEPENDENCY.format(*each) for each in parts)))
    command = [maven, "-q", "-B", "-f", project, "dependency:copy-dependencies"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={output}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise MavenUnavailableError(f"Maven did not download in {timeout_s:g} s") from error
    found = [output / f"{artifact}-{version}.jar" for _, artifact, version in parts]
    missing = [path.name for path in found if not path.exists()]
    if done.returncode or missing:
        raise MavenUnavailableError(
            f"Maven did not download {', '.join(missing[:5])}: {done.stdout[-400:]}"
        )
    return found
