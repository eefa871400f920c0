"""JUnit XML of verifications for CI servers, written case by case in bounded memory."""

import re
import shutil
import tempfile
from typing import IO, Self
from xml.sax.saxutils import escape, quoteattr

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot represent (section 2.2)."""


class JUnitWriter:
    """Collects test cases on disk; `write_to` puts the counts before them, as JUnit requires.

    A context manager: the temporary file ends with the block.
    """

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._counts = {"tests": 0, "failures": 0, "errors": 0}
        self._cases: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cases.close()

    def passed(self, name: str) -> None:
        """Add a passed case."""
        self._add(name, "")

    def failed(self, name: str, kind: str, message: str, text: str) -> None:
        """Add a failed case."""
        self._counts["failures"] += 1
        self._add(name, _element("failure", kind, message, text))

    def erroneous(self, name: str, message: str) -> None:
        """Add a case with an error, for input that could not be judged."""
        self._counts["errors"] += 1
        self._add(name, _element("error", "error", message, message))

    def write_to(self, out: IO[str]) -> None:
        """Write the document."""
        counts = " ".join(f'{name}="{count}"' for name, count in self._counts.items())
        name = _attribute(self._suite)
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        out.write(f"<testsuites {counts}>\n<testsuite name={name} {counts}>\n")
        self._cases.seek(0)
        shutil.copyfileobj(self._cases, out)
        out.write("</testsuite>\n</testsuites>\n")

    def _add(self, name: str, content: str) -> None:
        self._counts["tests"] += 1
        start = f"<testcase classname={_attribute(self._suite)} name={_attribute(name)}"
        self._cases.write(f"{start}>{content}</testcase>\n" if content else f"{start}/>\n")


def _element(tag: str, kind: str, message: str, text: str) -> str:
    start = f"<{tag} type={_attribute(kind)} message={_attribute(message)}>"
    return f"{start}{escape(_FORBIDDEN.sub('?', text))}</{tag}>"


def _attribute(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("?", text))
