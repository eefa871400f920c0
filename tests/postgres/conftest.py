"""Fixtures of hosts that share a database."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.killable_host import KillableHost
from tests.support.postgres import Cluster, PostgresServer

Start = Callable[..., KillableHost]


@pytest.fixture
def cluster(tmp_path: Path, postgres_server: PostgresServer) -> Cluster:
    """An empty database, made for hosts."""
    return postgres_server.new_cluster(tmp_path)


@pytest.fixture
def start(tmp_path: Path, cluster: Cluster) -> Iterator[Start]:
    """Starts hosts of the cluster by their names, each with a data directory of its own."""
    with ExitStack() as stack:
        yield starter(tmp_path, cluster.environment, stack)


def starter(folder: Path, environment: Mapping[str, str], stack: ExitStack) -> Start:
    """What starts hosts by their names, each with a data directory of its own, until the stack is closed."""

    def started(name: str, workers: str = "combined", **settings: str) -> KillableHost:
        (folder / name).mkdir()
        own = {**environment, "CORDBOX_HOST_NAME": name, **settings}
        host = KillableHost(folder / name, ("--workers", workers), environment=own)
        host.start()
        stack.callback(host.kill)
        return host

    return started
