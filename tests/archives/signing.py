"""JARs that Java has signed, by the class that `jarsigner` is made of."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_BATCH = Path(__file__).parent / "java" / "JarBatch.java"


def signed_by_java(jars: Sequence[Path], store: Path, password: str, alias: str) -> Iterator[bytes]:
    """Each JAR with a signature of the key, one after the other: all together are 100 MB."""
    with tempfile.TemporaryDirectory() as folder:
        signed = Path(folder) / "signed.jar"
        with subprocess.Popen(
            ["java", "-Xmx512m", _BATCH, store, password, alias],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as java:
            assert java.stdin is not None
            assert java.stdout is not None
            for jar in jars:
                java.stdin.write(f"{jar}\t{signed}\n")
                java.stdin.flush()
                answer = java.stdout.readline().strip()
                assert answer == "signed", f"{jar.name}: {answer or 'java ended'}"
                yield signed.read_bytes()
