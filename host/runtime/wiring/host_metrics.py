"""Metrics of a host as a whole: release, certificate, disk, and the files that all nodes share."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from host.adapters.files.data_directory import DataDirectory
from host.domain.errors import StorageError
from host.domain.vnode import NodeState
from host.settings.live import LiveConfig

if TYPE_CHECKING:  # Most processes have no certificate.
    from host.rest.tls_files import Certificates

_RELEASES = ("cordbox", "wasmtime")


class ConfigCollector(Collector):
    """The versions of sections of settings that are in force in this process."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config

    def collect(self) -> Sequence[Metric]:
        metric = Metric(
            "cordbox_config_version",
            "Version of a section of settings that is in force, 0 where nobody has changed it.",
            "gauge",
        )
        for section, version_in_force in self._config.versions().items():
            metric.add_sample(metric.name, {"section": section}, version_in_force)
        return [metric]


class NodesCollector(Collector):
    """How many virtual nodes the cluster has, by state."""

    def __init__(self, states: Callable[[], Mapping[NodeState, int]]) -> None:
        self._states = states

    def collect(self) -> Sequence[Metric]:
        metric = Metric("cordbox_virtual_nodes", "Virtual nodes of the cluster.", "gauge")
        try:
            found = self._states()
        except StorageError:  # what else there is to measure is measured
            return ()
        for state in NodeState:
            metric.add_sample(metric.name, {"state": state.value}, found.get(state, 0))
        return [metric]


class HostCollector(Collector):
    """Metrics that one process of a host reports for all of them."""

    def __init__(self, directory: DataDirectory, certificates: "Certificates | None") -> None:
        self._directory = directory
        self._certificates = certificates
        self._releases = {name: version(name) for name in _RELEASES}

    def collect(self) -> Sequence[Metric]:
        metrics = [self._build(), self._files(), *self._disk()]
        if self._certificates is not None:
            expiry = Metric(
                "cordbox_certificate_expiry_seconds",
                "Seconds until the certificate of the REST interface expires.",
                "gauge",
            )
            expiry.add_sample(expiry.name, {}, self._certificates.seconds_left())
            metrics.append(expiry)
        return metrics

    def _build(self) -> Metric:
        build = Metric("cordbox_build_info", "The releases that run.", "gauge")
        labels = {**self._releases, "python": platform.python_version()}
        build.add_sample(build.name, {k: str(v) for k, v in labels.items()}, 1)
        return build

    def _disk(self) -> Sequence[Metric]:
        try:
            disk = os.statvfs(self._directory.path)
        except OSError:
            return ()
        free = Metric("cordbox_disk_free_bytes", "Room on the data directory's disk.", "gauge")
        free.add_sample(free.name, {}, disk.f_bavail * disk.f_frsize)
        size = Metric("cordbox_disk_size_bytes", "Size of the data directory's disk.", "gauge")
        size.add_sample(size.name, {}, disk.f_blocks * disk.f_frsize)
        return free, size

    def _files(self) -> Metric:
        files = Metric("cordbox_file_bytes", "Sizes of databases and of their WAL.", "gauge")
        for database in (self._directory.cluster_database, self._directory.flow_database):
            for path in (database, database.with_name(f"{database.name}-wal")):
                files.add_sample(files.name, {"file": path.name}, _size(path))
        return files


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
