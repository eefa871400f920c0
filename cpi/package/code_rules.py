"""Step "wasm descriptor": compares the code of a CPK with its descriptor.

A packed component is unpacked block by block, so that neither form is ever in memory as a whole.
"""

import hashlib
from collections.abc import Iterable, Iterator

from cpi.archive.zstd_frame import ZstdRefusedError, unpack_frame
from cpi.digests import hash_text
from cpi.errors import Code, Issue
from cpi.package.contents import EntryContents
from cpi.package.descriptor import DESCRIPTOR_PATH, PYTHON_PREFIX, CodeDescriptor


def code_issues(descriptor: CodeDescriptor, entries: EntryContents, kind: str) -> Iterator[Issue]:
    """Compare the CPK's contents with its descriptor.

    Whether Python source and runtime make the stated image is the host's check: this room
    runs no WebAssembly.
    """
    if descriptor.world != kind:
        yield _mismatch(
            f"descriptor targets world {descriptor.world}, the manifest declares a {kind} CPK"
        )
    if descriptor.form == "python":
        for module in descriptor.entry_modules:
            path = PYTHON_PREFIX + module.replace(".", "/")
            if f"{path}.py" not in entries and f"{path}/__init__.py" not in entries:
                yield _mismatch(f"entry module {module} is not under {PYTHON_PREFIX}")
        return
    path = descriptor.component_path or ""
    if path not in entries:
        yield _mismatch(f"component {path} is not in the package")
        return
    reason = _component_fault(descriptor, entries.chunks(path))
    if reason is not None:
        yield _mismatch(f"component {path} {reason}", entry=path)


def _component_fault(descriptor: CodeDescriptor, packed: Iterable[bytes]) -> str | None:
    """Unpack one zstd frame, whose header must state the size that the descriptor states."""
    digest = hashlib.sha256()
    try:
        for content in unpack_frame(packed, size=descriptor.component_size or 0):
            digest.update(content)
    except ZstdRefusedError as error:
        return str(error)
    text = hash_text(digest.digest())
    if text != descriptor.code_digest:
        return f"has digest {text}, the descriptor states {descriptor.code_digest}"
    return None


def _mismatch(message: str, entry: str = DESCRIPTOR_PATH) -> Issue:
    return Issue(code=Code.DESCRIPTOR_CODE, message=message, entry=entry)
