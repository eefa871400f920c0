"""Derives a component from Python sources and a pinned runtime, deterministically.

The runtime's loader runs once, in `wasmtime wizer`, and the resulting memory becomes the component:
the same sources and the same runtime give the same bytes on every host.
"""

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from sandbox.digests import digest_of, file_stem
from sandbox.errors import DeriveFailedError
from sandbox.files import locked, private_directory, write_whole
from sandbox.pinned import PinnedRuntime, materialise
from sandbox.python_source import PythonSource
from sandbox.static_limits import PYTHON, check_static
from sandbox.wizer import Wizer, tool_version

PART_CHARACTERS = 96 * 1024
"""The kernel limits one argument to 128 KiB."""
_VERSION = "1"


class Deriver:
    """Derives components into the folder `components` of a cache directory."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._components = private_directory(cache_dir / "components")
        self._known = private_directory(cache_dir / "derived")
        self._wizer = Wizer(cache_dir)

    def derive(
        self, source: PythonSource, runtime: PinnedRuntime, progress: Callable[[str], None]
    ) -> str:
        """The digest of the derived component, whose file is in the cache afterwards.

        Raises:
            DeriveFailedError: the sources raise, trap or reach a limit while they are imported.
        """
        key = f"{_VERSION}\n{source.digest}\n{runtime.digest}\n{tool_version()}"
        record = self._known / f"{file_stem(digest_of(key.encode()))}.json"
        with locked(record.with_suffix(".lock")):
            known = self._recall(record)
            if known is None:
                progress(f"deriving the component of {len(source.files)} Python files")
                known = self._make(source, runtime)
                write_whole(record, json.dumps({"component": known}).encode())
        return known

    def _recall(self, record: Path) -> str | None:
        try:
            digest: str = json.loads(record.read_bytes())["component"]
            content = (self._components / f"{file_stem(digest)}.wasm").read_bytes()
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return digest if digest_of(content) == digest else None

    def _make(self, source: PythonSource, runtime: PinnedRuntime) -> str:
        text = base64.b64encode(source.packed()).decode()
        parts = [text[i : i + PART_CHARACTERS] for i in range(0, len(text), PART_CHARACTERS)]
        with tempfile.TemporaryDirectory(dir=self._cache_dir, prefix=".derive-") as folder:
            current = materialise(runtime, self._cache_dir)
            answer = ""
            for number, part in enumerate(parts):
                last = number == len(parts) - 1
                output = Path(folder) / f"{number}.wasm"
                call = f'load({"true" if last else "false"}, "{part}")'
                answer = self._wizer.initialise(current, output, call=call, keep=not last)
                current = output
            if answer:
                raise _failure(answer)
            data = current.read_bytes()
        check_static(data, PYTHON)
        digest = digest_of(data)
        write_whole(self._components / f"{file_stem(digest)}.wasm", data)
        return digest


_REPORT_CHARACTERS_MAX = 8_000


def _failure(answer: str) -> DeriveFailedError:
    """The loader's report as an error that names file, line and exception.

    The sources have run by then, so the report cannot be trusted to have any shape.
    """
    try:
        report = json.loads(base64.b64decode(answer))
        trace = report["trace"]
        place = f"{trace[-1]['file']}:{trace[-1]['line']}: " if trace else ""
        text = f"{place}{report['type']}: {report['message']}"
    except (ValueError, LookupError, TypeError, RecursionError):
        text = "the sources left no report of their failure"
    # A lone surrogate, which JSON can spell, becomes U+FFFD: the message could not be encoded.
    whole = text[:_REPORT_CHARACTERS_MAX].encode("utf-16", "surrogatepass")
    return DeriveFailedError(whole.decode("utf-16", "replace"))
