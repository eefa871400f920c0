"""keytool and jarsigner, run in one Java process."""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "java" / "ToolOracle.java"
_EXPORTS = (
    "--add-exports=java.base/sun.security.tools.keytool=ALL-UNNAMED",
    "--add-exports=jdk.jartool/sun.security.tools.jarsigner=ALL-UNNAMED",
)
HAVE_JAVA = all(shutil.which(tool) for tool in ("java", "javac", "keytool", "jarsigner"))


@dataclass(frozen=True, kw_only=True)
class Answer:
    code: int
    text: str


class JavaTools:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def keytool(self, *words: object) -> Answer:
        return self._run("keytool", words)

    def jarsigner(self, *words: object) -> Answer:
        return self._run("jarsigner", words)

    def subject(self, file: Path) -> Answer:
        """The subject of a certificate as Java's RFC 2253 text."""
        return self._run("subject", (file,))

    def set_property(self, name: str, value: str) -> None:
        self._run("property", (name, value))

    def _run(self, tool: str, words: tuple[object, ...]) -> Answer:
        line = "\t".join([tool, *map(str, words)])
        assert "\n" not in line
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the Java process has ended"
        code, _, text = answer.strip().partition("\t")
        return Answer(code=int(code), text=base64.b64decode(text).decode(errors="replace"))


@contextmanager
def java_tools(folder: Path) -> Iterator[JavaTools]:
    """The tools, compiled into a folder."""
    compile_words = ("javac", "-nowarn", *_EXPORTS, "-d", str(folder), str(SOURCE))
    subprocess.run(compile_words, check=True, capture_output=True, timeout=120)
    words = ("java", "-Djava.security.manager=allow", "-Xshare:auto", "-XX:+UseSerialGC", *_EXPORTS)
    with subprocess.Popen(
        [*words, "-Dfile.encoding=UTF-8", "-cp", str(folder), "ToolOracle"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield JavaTools(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
