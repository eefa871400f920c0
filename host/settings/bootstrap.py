"""Settings that a host needs to start, and the pinned keys of sections."""

import dataclasses
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from host.domain.workers import WorkerKind, WorkerPlan, WorkersInvalidError
from host.settings.errors import SettingsInvalidError
from host.settings.kinds import ADDRESS
from host.settings.pins import Pin, pinned_values
from host.settings.plugged import read_values
from host.settings.section import Section

T = TypeVar("T")

_DATABASE_PLUGIN = "postgres"
_BROKER_PLUGIN = "kafka"
_CONSOLE_PLUGIN = "console"
_TOGETHER = (
    ("tls_certificate_file", "tls_private_key_file"),
    ("secrets_passphrase_file", "secrets_salt_file"),
)
"""Settings of which one means nothing without the other."""
_FLOW_PROCESSES_MAX = 4
"""Each process takes about 100 MB: too much by default on a laptop with many cores.
"""


def home_cache_dir() -> Path:
    """`~/.cache/cordbox`: the default folder for compiled code."""
    return Path.home() / ".cache" / "cordbox"


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """The settings that `cordbox host run` needs to start, and all others that were given to it.

    Attributes:
        plugged: bootstrap settings of plugins by name, as JSON has them.
        pins: keys of sections that the command line, the environment or the settings file give.
    """

    data_dir: Annotated[Path, Meta(description="Directory that holds everything the host stores.")]
    cache_dir: Annotated[
        Path, Meta(description="Directory of compiled code; may be shared, may be deleted.")
    ] = dataclasses.field(default_factory=home_cache_dir)
    listen: Annotated[
        str,
        Meta(
            pattern=ADDRESS,
            max_length=300,
            description="Address and port of the REST interface; port 0 takes a free one.",
        ),
    ] = "127.0.0.1:8888"
    tls_certificate_file: Annotated[
        Path | None,
        Meta(description="PEM certificate chain for HTTPS; without it the host makes its own."),
    ] = None
    tls_private_key_file: Annotated[
        Path | None, Meta(description="PEM private key of `tls_certificate_file`.")
    ] = None
    admin_password_file: Annotated[
        Path | None,
        Meta(description="File whose first line is the password of the user `admin`."),
    ] = None
    master_passphrase_file: Annotated[
        Path | None,
        Meta(
            description="File whose first line is the passphrase that all keys are wrapped under; "
            "without it the master key lies in the data directory."
        ),
    ] = None
    secrets_passphrase_file: Annotated[
        Path | None,
        Meta(
            description="File whose first line is the passphrase under which secrets of sections"
            " are sealed (`cordbox secret-config create -p`); the same on all hosts of a cluster."
        ),
    ] = None
    secrets_salt_file: Annotated[
        Path | None,
        Meta(description="File whose first line is the salt of that passphrase (`-s`)."),
    ] = None
    database_url: Annotated[
        Annotated[str, Meta(max_length=1000)] | None,
        Meta(
            description="PostgreSQL database of a cluster, `postgresql://user@host:port/database`:"
            " everything that hosts share is stored there. Needs the extra `postgres` and"
            " `master_passphrase_file`. Without it the data directory holds everything."
        ),
    ] = None
    database_password_file: Annotated[
        Path | None,
        Meta(description="File whose first line is the password of the database's user."),
    ] = None
    database_ca_file: Annotated[
        Path | None,
        Meta(
            description="PEM certificates of the authorities that issued the database server's"
            " certificate, which is checked with its name unless the server is on this machine;"
            " without it, those of the system."
        ),
    ] = None
    database_tls: Annotated[
        bool,
        Meta(
            description="Whether a database on another machine is reached by TLS alone; off only"
            " where the network itself is protected: everybody on it can read and change all data."
        ),
    ] = True
    database_pool_max: Annotated[
        int,
        Meta(
            ge=4,
            le=1000,
            description="Connections of each process to the database for each of flows, registers,"
            " vaults and spent states; further calls wait. Idle ones stay open.",
        ),
    ] = 32
    bus: Annotated[
        Literal["database", "kafka"],
        Meta(
            description="What carries work between flows of a cluster, such as session messages:"
            " its database itself, or `kafka`, the brokers of the plugin `kafka`. All hosts of a"
            " cluster have the same; it is changed while none of them runs. `kafka` needs"
            " `database_url`."
        ),
    ] = "database"
    host_name: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$", max_length=63)] | None,
        Meta(
            description="Name of this host in its cluster, different from all other hosts';"
            " by default the machine's."
        ),
    ] = None
    workers: Annotated[
        str,
        Meta(
            max_length=1000,
            description="Worker processes: `combined` (one process does everything), or kinds with"
            " counts such as `flow=2,crypto=1`. There is always one of kind rest; flow without a"
            " count is one for each core, at most 4.",
        ),
    ] = "flow"
    monitor_listen: Annotated[
        Annotated[str, Meta(pattern=ADDRESS, max_length=300)] | None,
        Meta(
            description="Address over plain HTTP of `/isHealthy`, `/status` and `/metrics` of the"
            " first process; each further one takes the next port, or with port 0 a free one (log"
            " line `monitor-listening`). Without it only REST has them.",
        ),
    ] = None
    gateway_listen: Annotated[
        tuple[Annotated[str, Meta(pattern=ADDRESS, max_length=300)], ...],
        Meta(
            max_length=16,
            description="Addresses and ports where gateways of other clusters connect (Corda's P2P"
            " gateway); port 0 takes a free one. Without one the host is in static networks alone:"
            " nothing listens, and no link runs.",
        ),
    ] = ()
    p2p_address_limits: Annotated[
        bool,
        Meta(
            description="Whether limits of strangers at the gateway count by their IP address;"
            " false behind a load balancer that hides addresses: they count by connection then."
        ),
    ] = True
    p2p_deny_networks: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...],
        Meta(
            max_length=100,
            description="Networks, such as `10.0.0.0/8`, to which the gateway never connects,"
            " whatever endpoints members name. By default the link-local ones, where clouds serve"
            " a machine's own secrets.",
        ),
    ] = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")
    plugins: Annotated[
        tuple[Annotated[str, Meta(max_length=100)], ...],
        Meta(max_length=100, description="Plugins to load: `embedded`, or names of entry points."),
    ] = ("embedded",)
    plugin_entry_points: Annotated[
        bool, Meta(description="Whether `plugins` may name entry points of installed packages.")
    ] = False
    console: Annotated[
        bool, Meta(description="Whether the operators' console is served at `/console`.")
    ] = True
    isolation: Annotated[
        Literal["shared", "process"],
        Meta(
            description="Where guests run: `shared` (in the process that runs flows) or `process`"
            " (a sealed process for each virtual node, about 35 MB each while it is in use)."
        ),
    ] = "shared"
    restored_instances: Annotated[
        bool,
        Meta(
            description="Whether the sandbox of a Python CorDapp is restored after a run and kept"
            " for the next one; otherwise each run gets a new one, which takes several times as"
            " long and has the same result."
        ),
    ] = True
    isolation_required: Annotated[
        tuple[Annotated[str, Meta(max_length=64)], ...],
        Meta(
            max_length=64,
            description="Walls of `isolation = process` without which the host does not start,"
            " for example `seccomp`; those in force are in the log line `isolation`.",
        ),
    ] = ()
    stop_seconds_max: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds that a stopping host waits for running requests.",
        ),
    ] = 10
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="Form of the log on stderr; `auto`: console on a terminal, else json."),
    ] = "auto"
    plugged: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pins: Mapping[str, Mapping[str, Pin]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse combinations of values that do not make sense."""
        self._check_pairs()
        if self.database_url is not None and self.master_passphrase_file is None:
            raise SettingsInvalidError(
                "database_url needs master_passphrase_file: all hosts of a cluster use one key"
            )
        self._check_processes()
        if self.listen_port > 65_535:
            raise SettingsInvalidError(f"listen: port {self.listen_port} is above 65535")
        if WorkerKind.RELAY in self.worker_plan.counts and not self.has_relay:
            raise SettingsInvalidError("workers: relay: no plugin for a broker, such as 'kafka'")
        if WorkerKind.GATEWAY in self.worker_plan.counts and not self.gateway_listen:
            raise SettingsInvalidError("workers: gateway: gateway_listen names no address")
        for address in self.gateway_listen:
            if split_address(address)[1] > 65_535:
                raise SettingsInvalidError(f"gateway_listen: {address}: the port is above 65535")
        _check_networks(self.p2p_deny_networks)
        last = self.monitor_address(max(sum(self.worker_plan.counts.values()), 1) - 1)
        if last is not None and int(last.rpartition(":")[2]) > 65_535:
            raise SettingsInvalidError(
                f"monitor_listen: {self.monitor_listen} leaves no port for each process:"
                f" the last would have {last.rpartition(':')[2]}, above 65535"
            )

    def _check_pairs(self) -> None:
        for one, other in _TOGETHER:
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise SettingsInvalidError(f"{one} and {other} must be given together")

    def _check_processes(self) -> None:
        try:
            self.worker_plan  # noqa: B018  # parsed to fail early
        except WorkersInvalidError as refused:
            raise SettingsInvalidError(refused.message) from refused
        if self.bus == "kafka" and (self.database_url is None or not self.has_relay):
            raise SettingsInvalidError("bus: kafka needs database_url, and the plugin 'kafka'")

    def section(self, section: Section[T]) -> T:
        """The values of a section from pins and defaults; stored values are ignored."""
        return section.values(pinned_values(section, self.pins))

    def plugin(self, kind: type[T]) -> T:
        """A plugin's own bootstrap settings, as an instance of its declared dataclass."""
        return read_values(kind, self.plugged)

    @property
    def loaded_plugins(self) -> tuple[str, ...]:
        """The plugins to load: `plugins`, and those that `console` and `database_url` need."""
        needed = (
            *((_CONSOLE_PLUGIN,) if self.console else ()),
            *(() if self.database_url is None else (_DATABASE_PLUGIN,)),
        )
        return (*self.plugins, *(name for name in needed if name not in self.plugins))

    @property
    def worker_plan(self) -> WorkerPlan:
        """The worker processes that the setting `workers` requests."""
        cores = min(os.cpu_count() or 1, _FLOW_PROCESSES_MAX)
        return WorkerPlan.parse(self.workers, flow_count=cores, has_relay=self.has_relay)

    @property
    def has_relay(self) -> bool:
        """Whether outward topics are sent to a message broker."""
        return _BROKER_PLUGIN in self.plugins

    def monitor_address(self, number: int) -> str | None:
        """Where the host's process of this number, from 0, serves its health and metrics."""
        if self.monitor_listen is None:
            return None
        host, _, port = self.monitor_listen.rpartition(":")
        return f"{host}:{int(port) and int(port) + number}"

    @property
    def listen_host(self) -> str:
        return split_address(self.listen)[0]

    @property
    def listen_port(self) -> int:
        return split_address(self.listen)[1]


def _check_networks(networks: Sequence[str]) -> None:
    for text in networks:
        try:
            ipaddress.ip_network(text)
        except ValueError as refused:
            raise SettingsInvalidError(f"p2p_deny_networks: {refused}") from refused


def split_address(address: str) -> tuple[str, int]:
    """Host, without brackets, and port of an address such as `[::1]:8080`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
