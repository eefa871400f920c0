"""What several benchmarks need: a key, the built samples, a sandbox, a running host."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from cpi.crypto.keys import SigningKey, load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import BuiltCordapp, build_cordapp
from sample_cordapps.demo import network
from sample_cordapps.demo.console import DemoConsole
from sample_cordapps.demo.processes import HostProcess
from sample_cordapps.demo.rest import RestClient
from sandbox.runtime import Sandbox

PASSWORD = "benchmark-password"
ALIAS = "bench"


@cache
def folder() -> Path:
    """A fresh folder of this process, below build/; it is removed when the process ends."""
    parent = Path("build/benchmarks")
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=parent))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def key() -> SigningKey:
    path = keystore()
    return load_signing_key(path, password=PASSWORD, alias=ALIAS)


@cache
def keystore() -> Path:
    path = folder() / "signing.p12"
    path.write_bytes(
        create_keystore(
            alias=ALIAS, password=PASSWORD, distinguished_name="CN=Bench, O=Cordbox, L=London, C=GB"
        )
    )
    return path


@cache
def sandbox() -> Sandbox:
    return Sandbox(cache_dir=default_cache_dir())


def built(sources: Path) -> BuiltCordapp:
    """A CorDapp's packages, built with the run's key."""
    out = Path(tempfile.mkdtemp(dir=folder()))
    return build_cordapp(sources, (key(),), out, sandbox(), lambda _text: None)


@contextmanager
def running_host(name: str) -> Iterator[tuple[RestClient, HostProcess]]:
    """A host process of the data directory of this name, and a client of it."""
    home = folder() / name
    home.mkdir(exist_ok=True)
    password_file = home / "admin-password"
    password_file.write_text("benchmark\n", encoding="utf-8")
    console = DemoConsole(quiet=True)
    words = ["host", "run", "--data-dir", str(home / "data"), "--listen", "127.0.0.1:0"]
    words += ["--admin-password-file", str(password_file), "--output", "json"]
    host = HostProcess(console, Path.cwd(), words=words, log=home / "host.log")
    ready = host.start()
    rest = RestClient(
        console,
        url=ready["url"],
        certificate=Path(ready["certificate"]),
        password_file=password_file,
    )
    try:
        yield rest, host
    finally:
        rest.close()
        host.stop()


def node_of(rest: RestClient, checksum: str, name: str) -> str:
    """A registered virtual node."""
    node = network.create_node(rest, checksum, name)
    network.register(rest, node)
    return node


def child_environment() -> dict[str, str]:
    """The environment of a Python child that is to start as fast as it can."""
    return {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
