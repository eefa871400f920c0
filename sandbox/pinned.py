"""The pinned Python runtimes that ship with this package, and their provenance."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import zstandard

from sandbox.digests import digest_of, file_stem
from sandbox.errors import RuntimeDamagedError, RuntimeUnknownError
from sandbox.files import locked, private_directory, write_whole
from sandbox.world import World

DIRECTORY = Path(__file__).parent / "runtimes"
SIZE_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedRuntime:
    """One runtime component.

    Attributes:
        digest: `SHA-256:HEX` of the component.
        size: bytes of the component.
        file: name of the zstd file.
        base: digest of the runtime that the file is a patch of; None if the file is complete.
        wit_digest: digest of the WIT that the runtime was built from.
        loader_digest: digest of the guest side sources (`sandbox.runtime_sources`).
        componentize_py: version of the tool that built it.
        tzdata: version of the package whose time zones are in it.
        built: day of the build, `YYYY-MM-DD`.
    """

    world: World
    digest: str
    size: int
    file: str
    base: str | None
    wit_digest: str
    loader_digest: str
    componentize_py: str
    tzdata: str
    built: str


@cache
def pinned_runtimes(directory: Path = DIRECTORY) -> Sequence[PinnedRuntime]:
    """All runtimes in `directory`, oldest first."""
    try:
        text = (directory / "provenance.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    entries = json.loads(text)["runtimes"]
    return tuple(PinnedRuntime(**{**e, "world": World(e["world"])}) for e in entries)


def default_runtime(world: World, directory: Path = DIRECTORY) -> PinnedRuntime:
    """The newest runtime of `world`.

    Raises:
        RuntimeUnknownError: there is none.
    """
    found = [r for r in pinned_runtimes(directory) if r.world is world]
    if not found:
        raise RuntimeUnknownError(f"no pinned runtime of world {world} is installed")
    return found[-1]


def find_runtime(digest: str, directory: Path = DIRECTORY) -> PinnedRuntime:
    """The runtime named by `digest`.

    Raises:
        RuntimeUnknownError: there is none.
    """
    known = pinned_runtimes(directory)
    for runtime in known:
        if runtime.digest == digest:
            return runtime
    names = ", ".join(f"{r.digest} ({r.world})" for r in known) or "none"
    raise RuntimeUnknownError(f"runtime {digest} is not installed; installed: {names}")


def unpack_runtime(runtime: PinnedRuntime, directory: Path = DIRECTORY) -> bytes:
    """The runtime's component.

    Raises:
        RuntimeDamagedError: the bytes are not those that the digest names.
    """
    base = unpack_runtime(find_runtime(runtime.base, directory), directory) if runtime.base else b""
    try:
        packed = (directory / runtime.file).read_bytes()
        data = decompress(packed, base=base, size=runtime.size)
    except (OSError, zstandard.ZstdError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise RuntimeDamagedError(f"runtime file {runtime.file}: {reason}") from exc
    if digest_of(data) != runtime.digest:
        raise RuntimeDamagedError(
            f"runtime file {runtime.file}: expected {runtime.digest}, found {digest_of(data)}"
        )
    return data


def materialise(runtime: PinnedRuntime, cache_dir: Path) -> Path:
    """The runtime's component as a file of the cache, with the right bytes."""
    folder = private_directory(cache_dir / "runtimes")
    path = folder / f"{file_stem(runtime.digest)}.wasm"
    if _holds(path, runtime.digest):
        return path
    with locked(folder / f"{path.name}.lock"):
        if not _holds(path, runtime.digest):
            write_whole(path, unpack_runtime(runtime))
    return path


def compress(data: bytes, *, base: bytes, level: int = 19) -> bytes:
    """A zstd frame of `data`; with a `base`, a patch of it."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=27, enable_ldm=True, write_content_size=True
    )
    dictionary = _prefix(base)
    compressor = zstandard.ZstdCompressor(compression_params=parameters, dict_data=dictionary)
    return compressor.compress(data)


def decompress(packed: bytes, *, base: bytes, size: int) -> bytes:
    """The content of a frame that `compress` made, `size` bytes long."""
    if size > SIZE_MAX or zstandard.frame_content_size(packed) != size:
        raise zstandard.ZstdError(f"frame declares another size than {size}")
    dictionary = _prefix(base)
    reader = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=1 << 27)
    return reader.decompress(packed, max_output_size=size)


def _prefix(base: bytes) -> zstandard.ZstdCompressionDict | None:
    return (
        zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        if base
        else None
    )


def _holds(path: Path, digest: str) -> bool:
    try:
        return digest_of(path.read_bytes()) == digest
    except FileNotFoundError:
        return False
