"""What releases before images left in a cache is removed when the cache is opened."""

import json
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from sandbox.digests import file_stem
from sandbox.older_caches import remove_derived
from sandbox.runtime import Sandbox
from sandbox.world import World

DERIVED = "ab" * 32


@pytest.fixture
def cache(tmp_path: Path, texts) -> tuple[Path, str]:
    """A cache that an older release has used, and the stem of a component that is still good."""
    folder = tmp_path / "cache"
    component = bytes(wat2wasm(texts.contract(texts.accepts)))
    kept = file_stem(Sandbox(cache_dir=folder).admit(World.CONTRACT, component).digest) or ""
    for path in ("derived/key.json", "derived/key.lock", "wizer/tool", f"compiled/{DERIVED}.lock"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(b"{}")
    for path in (f"{DERIVED}-0011.cwasm", f"{DERIVED}-0011.mac"):
        (folder / "compiled" / path).write_bytes(b"code")
    (folder / "components" / f"{DERIVED}.wasm").write_bytes(b"wasm")
    record = {"world": "contract", "runtime": f"SHA-256:{'CD' * 32}"}
    (folder / "components" / f"{DERIVED}.json").write_text(json.dumps(record))
    return folder, kept


def names(folder: Path) -> str:
    return "\n".join(str(path) for path in folder.rglob("*"))


def test_derived_components_and_their_code_are_removed(cache: tuple[Path, str]) -> None:
    folder, kept = cache
    sandbox = Sandbox(cache_dir=folder)
    assert DERIVED not in names(folder)
    assert not (folder / "derived").exists()
    assert not (folder / "wizer").exists()
    assert sandbox.guest(World.CONTRACT, f"SHA-256:{kept.upper()}").component.digest
    assert list((folder / "compiled").glob(f"{kept}-*.cwasm"))


@pytest.mark.parametrize("record", [b"", b"[]", b"\xff", b'{"world": "contract"}'])
def test_what_is_not_known_to_be_derived_stays(cache: tuple[Path, str], record: bytes) -> None:
    folder, _ = cache
    (folder / "components" / f"{DERIVED}.json").write_bytes(record)
    remove_derived(folder)
    assert (folder / "components" / f"{DERIVED}.wasm").exists()


def test_a_removal_that_was_interrupted_goes_on(cache: tuple[Path, str], monkeypatch) -> None:
    folder, _ = cache
    with monkeypatch.context() as patched:

        def interrupted(_: Path, **__: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("sandbox.older_caches.shutil.rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            remove_derived(folder)
    assert (folder / "derived").exists()
    remove_derived(folder)
    assert DERIVED not in names(folder)
    assert not (folder / "derived").exists()


def test_a_cache_without_them_is_not_searched(tmp_path: Path, monkeypatch) -> None:
    Sandbox(cache_dir=tmp_path / "new")

    def searched(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Path, "glob", searched)
    remove_derived(tmp_path / "new")
