"""Whatever stands in the place of a file is refused by name, at once, and never waited for."""

import datetime as dt
import os
import socket
from pathlib import Path

import pytest

from host.adapters.files.cpi_files import CpiFolder
from host.adapters.files.data_directory import DataDirectory
from host.adapters.files.identity.files import file_state
from host.adapters.files.regular_files import (
    IrregularFileError,
    new_file,
    open_regular,
    read_regular,
)
from host.adapters.files.secret_files import read_secret
from host.adapters.os.system import SystemClock, SystemEntropy
from host.domain.errors import HostError
from host.keys import MasterKeyFiles
from host.nodes.audit_log.service import load_audit_key
from host.nodes.packages.catalogue import PackageCatalogue
from host.rest.tls import own_certificate
from host.rest.tls_files import check_files
from host.settings import load_settings
from tests.support.data_directories import ALICE, CHECKSUM, make_directory, parts_of


def bound(path):
    """A socket file; names of sockets are at most 107 bytes long."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


KINDS = {
    "pipe": os.mkfifo,
    "socket": bound,
    "directory": os.mkdir,
    "link": lambda path: path.symlink_to("/dev/null"),
    "loop": lambda path: path.symlink_to(path),
}


@pytest.fixture(params=KINDS)
def put(request):
    def replace(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        KINDS[request.param](path)
        return path

    return replace


@pytest.fixture
def folder(tmp_path):
    return make_directory(tmp_path / "d")


@pytest.mark.parametrize("name", ["lock", "joined", "cordbox-id", "cordbox-marks", "probe"])
def test_a_start_refuses_its_own_files(folder, put, name):
    put(folder / name)
    with pytest.raises(HostError, match=name):
        DataDirectory.hold(folder).release()


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("store", ["flows.sqlite", "cluster.sqlite"])
def test_a_start_refuses_stores(folder, put, store, end):
    put(folder / f"{store}{end}")
    with pytest.raises(HostError, match=f"{store} .*found"):
        DataDirectory.hold(folder).release()


@pytest.mark.parametrize("name", ["vault.sqlite", "vault.sqlite-wal", "audit.log", "audit.head"])
def test_a_node_is_refused_its_files(folder, put, name):
    put(folder / "vnodes" / ALICE.short_hash / name)
    with parts_of(folder) as parts, pytest.raises(HostError, match=r"vault\.sqlite|audit\."):
        parts.write(ALICE, call=9)


def test_secrets_and_packages_are_refused(folder, put):
    (package,) = folder.glob("packages/*.cpi")
    put(package)
    put(folder / "secrets" / "audit-key")
    put(folder / "secrets" / "master-key")
    catalogue = PackageCatalogue(database=None, files=CpiFolder(folder / "packages"))
    masters = MasterKeyFiles(folder / "secrets", passphrase=None, entropy=SystemEntropy())
    for use in (
        lambda: catalogue.read(CHECKSUM),
        lambda: next(catalogue.chunks(CHECKSUM)),
        lambda: masters.get(1),
        lambda: load_audit_key(
            folder / "secrets", entropy=SystemEntropy(), logs=folder, newest_act=None
        ),
    ):
        with pytest.raises(HostError, match=r"\.cpi|master-key|audit-key"):
            use()


@pytest.mark.parametrize("name", ["certificate.pem", "private-key.pem"])
def test_certificates_are_refused(tmp_path, put, name):
    clock = SystemClock()
    files = own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    put(tmp_path / name)
    with pytest.raises(HostError, match=name):
        own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    with pytest.raises(HostError, match=name):
        check_files(files, now=dt.datetime.now(dt.UTC))


def test_files_that_an_operator_names_may_be_links_to_regular_files_alone(tmp_path, put):
    given = put(tmp_path / "given")
    for use in (
        lambda: read_secret(given),
        lambda: load_settings(options={}, file=given, environment={}),
    ):
        with pytest.raises(HostError, match="given"):
            use()
    (tmp_path / "real").write_text("secret\n")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert read_secret(tmp_path / "linked") == "secret"
    with pytest.raises(IrregularFileError, match="symbolic link"):
        read_regular(tmp_path / "linked", 100)


def test_looking_at_a_database_never_opens_what_is_none(tmp_path, put):
    look = file_state(put(tmp_path / "x.sqlite"))
    assert (look.size, look.identity) == (None, None)
    assert look.problem is not None


def test_a_device_is_refused():
    with pytest.raises(IrregularFileError, match="found a device"):
        open_regular(Path("/dev/zero"))


def test_a_new_file_takes_the_place_of_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "x")
    with new_file(tmp_path / "x") as stream:
        stream.write(b"content")
    assert (tmp_path / "x").read_bytes() == b"content"
