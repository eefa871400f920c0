"""The same sources give the same bytes, whatever surrounds the build."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cpi.archive.reading import Archive, read_archive
from cpi.jar.signatures import Role, role_of
from host.tools.cache import CACHE_VARIABLE, default_cache_dir
from host.tools.cordapps.build import build_cordapp, prepare_cordapp, sign_cordapp
from host.tools.cordapps.project import load_project
from host.tools.cordapps.throwaway_key import throwaway_key

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSIONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowServices:
    """One process: three builds, each of a copy at another path and with other file times."""

    zone: str
    language: str
    hash_seed: str
    umask: int
    now: int
    user: str
    epoch: str | None = None
    flags: tuple[str, ...] = ()


VARIED = (
    FlowServices(zone="UTC", language="C", hash_seed="0", umask=0o022, now=1_800_000_000, user="a"),
    FlowServices(
        zone="Asia/Kathmandu", language="C.UTF-8", hash_seed="1", umask=0o077, now=0, user="b"
    ),
    FlowServices(
        zone="America/St_Johns", language="tr_TR.UTF-8", hash_seed="42", umask=0o002,
        now=4_000_000_000, user="c", epoch="0",
    ),
    FlowServices(
        zone="Pacific/Apia", language="de_DE.ISO-8859-1", hash_seed="4294967295", umask=0o000,
        now=315_532_799, user="root", epoch="1700000000", flags=("-O",),
    ),
    FlowServices(
        zone="Europe/London", language="POSIX", hash_seed="random", umask=0o027,
        now=1_900_000_000, user="d", flags=("-X", "utf8=0"),
    ),
    FlowServices(
        zone="<-12>+12", language="ja_JP.eucJP", hash_seed="random", umask=0o037,
        now=2_147_483_648, user="e", epoch="not a number", flags=("-OO",),
    ),
    FlowServices(
        zone="", language="", hash_seed="7", umask=0o066, now=946_684_800, user="f", flags=("-I",)
    ),
)  # fmt: skip


SURROUNDINGS = int(os.environ.get("CORDBOX_SURROUNDINGS", "2"))
"""How many of `VARIED` are built in, from the last on: `make prove-sandbox` takes all."""


def copies(project: Path, folder: Path) -> Iterator[Path]:
    """Copies of a project at other paths, written in another order, with other times."""
    places = ("x", "a place with spaces/und Umlaute äöü", "/".join("abcdefgh"))
    for number, place in enumerate(places):
        target = folder / place / project.name
        files = sorted(path for path in project.rglob("*") if path.is_file())
        for path in files if number % 2 else reversed(files):
            copy = target / path.relative_to(project)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            os.utime(copy, (number * 10**8, number * 10**8))
        yield target


def environment(around: FlowServices, folder: Path) -> dict[str, str]:
    home = folder / "home"
    home.mkdir(parents=True)
    result = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "USER": around.user,
        "LOGNAME": around.user,
        "TMPDIR": str(folder),
        "TZ": around.zone,
        "LANG": around.language,
        "LC_ALL": around.language,
        "PYTHONHASHSEED": around.hash_seed,
        "PYTHONPATH": str(ROOT),
        CACHE_VARIABLE: str(default_cache_dir()),
    }
    if around.epoch is not None:
        result["SOURCE_DATE_EPOCH"] = around.epoch
    return {name: value for name, value in result.items() if value}


def builds_in(around: FlowServices, project: Path, folder: Path, keystore: Any) -> list[list[str]]:
    wanted = {
        "umask": around.umask,
        "seed": VARIED.index(around),
        "now": around.now,
        "keystore": str(keystore.path),
        "password": keystore.password,
        "alias": keystore.key.alias,
        "projects": [str(copy) for copy in copies(project, folder / "copies")],
    }
    done = subprocess.run(
        [sys.executable, *around.flags, str(HERE / "varied_build.py")],
        input=json.dumps(wanted).encode(),
        capture_output=True,
        env=environment(around, folder),
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    made: list[list[str]] = json.loads(done.stdout)
    return made


@pytest.mark.slow
def test_varied_surroundings_give_the_same_signed_files(
    iou_with_a_wheel: Path, keystore: Any, sandbox: Any, tmp_path: Path
) -> None:
    here = build_cordapp(iou_with_a_wheel, (keystore.key,), tmp_path / "o", sandbox, lambda _: None)
    expected = [*(cpk.file.digest for cpk in here.cpks), here.cpb.digest]
    number = count()

    def build(around: FlowServices) -> list[list[str]]:
        return builds_in(around, iou_with_a_wheel, tmp_path / f"around{next(number)}", keystore)

    with ThreadPoolExecutor(2) as pool:
        made = [digests for builds in pool.map(build, VARIED[-SURROUNDINGS:]) for digests in builds]
    assert len(made) == 3 * SURROUNDINGS
    assert [digests for digests in made if digests != expected] == []


@pytest.mark.slow
def test_another_key_changes_nothing_but_the_signature_files(
    iou: Any, other_key: Any, sandbox: Any, tmp_path: Path
) -> None:
    project = ROOT / "sample_cordapps" / "iou"
    other = build_cordapp(project, (other_key,), tmp_path, sandbox, lambda _: None)
    for one, two in zip(iou.cpks, other.cpks, strict=True):
        assert one.file.digest != two.file.digest
        assert unsigned(one.file.path) == unsigned(two.file.path)


def unsigned(path: Path) -> list[tuple[str, bytes]]:
    archive: Archive = read_archive(path.read_bytes())
    left_out = (Role.SIGNATURE_FILE, Role.BLOCK)
    names = [entry.name for entry in archive.entries if role_of(entry.name) not in left_out]
    return [(name, archive.read(name)) for name in names]


@pytest.mark.slow
def test_preparing_twice_gives_equal_values(sandbox: Any) -> None:
    project = load_project(ROOT / "sample_cordapps" / "iou")
    one, two = (prepare_cordapp(project, sandbox, lambda _: None) for _ in range(2))
    assert one == two
    key = throwaway_key()  # an EC key: its signatures are deterministic, too
    assert sign_cordapp(one, (key,)) == sign_cordapp(two, (key,))


def interpreters() -> dict[str, str]:
    """Version -> command, of the versions that are installed here."""
    found = {"{}.{}".format(*sys.version_info): sys.executable}
    for version in VERSIONS:
        homes = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        command = homes[-1] if homes else shutil.which(f"python{version}")
        if command is not None:
            found.setdefault(version, str(command))
    return found


@pytest.mark.slow
def test_every_python_makes_the_same_sources_and_archives(
    iou_project: Path,
) -> None:
    lock = f"idna==3.10 --hash=sha256:{'0a' * 32}\n"
    (iou_project / "requirements.lock").write_text(lock)
    packages = Path(pytest.__file__).parents[1]
    path = os.pathsep.join((str(ROOT), str(packages)))
    made: dict[str, Any] = {}
    for version, command in interpreters().items():
        words = [command, str(HERE / "pure_parts.py"), str(iou_project)]
        environ = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(words, capture_output=True, env=environ, check=False)
        if b"ModuleNotFoundError" in done.stderr and command != sys.executable:
            continue
        assert done.returncode == 0, done.stderr.decode()
        made[version] = json.loads(done.stdout)
        assert ".".join(map(str, made[version].pop("python"))) == version
    if len(made) < 2:
        pytest.skip(f"only Python {', '.join(made)} is installed")
    (first, *others) = made.values()
    assert all(other == first for other in others)
