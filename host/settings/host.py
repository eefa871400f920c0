"""All settings of one host: those of its processes and of REST here, those of areas beside it."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from host.domain.workers import WorkerPlan, WorkersInvalidError
from host.settings.errors import SettingsInvalidError
from host.settings.flows import FlowSettings
from host.settings.guests import CAPABILITIES, GuestSettings
from host.settings.kinds import ADDRESS, Bytes, Workers
from host.settings.rest import RestSettings

_FLOW_PROCESSES_MAX = 4
"""Each takes about 100 MB: a laptop with many cores should not pay for all of them unasked."""


def home_cache_dir() -> Path:
    """`~/.cache/cordbox`: where compiled code is kept unless something else is asked for."""
    return Path.home() / ".cache" / "cordbox"


@dataclass(frozen=True, kw_only=True)
class HostSettings(FlowSettings, GuestSettings, RestSettings):
    """All settings of `cordbox host run`."""

    data_dir: Annotated[Path, Meta(description="Directory that holds everything the host stores.")]
    cache_dir: Annotated[
        Path, Meta(description="Directory of compiled code; may be shared, may be deleted.")
    ] = dataclasses.field(default_factory=home_cache_dir)
    listen: Annotated[
        str,
        Meta(
            pattern=ADDRESS,
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
    max_content_length: Annotated[
        Bytes, Meta(description="Largest request body in bytes (Corda: rest.maxContentLength).")
    ] = 200_000_000
    rest_threads: Annotated[
        Workers, Meta(description="Requests that are worked on at the same time.")
    ] = 16
    workers: Annotated[
        str,
        Meta(
            description="Worker processes: `combined` (one process does everything), or kinds with"
            " counts such as `flow=2,crypto=1`. There is always one of kind rest; flow without a"
            " count is one for each core, at most 4."
        ),
    ] = "flow"
    monitor_listen: Annotated[
        Annotated[str, Meta(pattern=ADDRESS)] | None,
        Meta(
            description="Address of `/isHealthy`, `/status` and `/metrics` of the first worker"
            " process; each further one takes the next port. Without it only REST has them.",
        ),
    ] = None
    plugins: Annotated[
        tuple[str, ...],
        Meta(description="Plugins to load: `embedded`, or names of entry points."),
    ] = ("embedded",)
    plugin_entry_points: Annotated[
        bool, Meta(description="Whether `plugins` may name entry points of installed packages.")
    ] = False
    administrative_log_entries_max: Annotated[
        int,
        Meta(
            ge=1_000,
            le=100_000_000,
            description="Entries of the administrative log that are kept, about 600 bytes each; the"
            " oldest go first, and the log says so.",
        ),
    ] = 200_000
    administrative_log_flow_entries_max: Annotated[
        int,
        Meta(
            ge=1_000,
            le=100_000_000,
            description="Entries of the administrative log about started flows that are kept; two"
            " for each.",
        ),
    ] = 40_000
    stop_seconds_max: Annotated[
        int, Meta(ge=1, description="Seconds that a stopping host waits for running requests.")
    ] = 10
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least level that is logged."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="Form of the log on stderr; `auto`: console on a terminal, else json."),
    ] = "auto"

    def __post_init__(self) -> None:
        """Refuse values that only make sense together."""
        if (self.tls_certificate_file is None) != (self.tls_private_key_file is None):
            raise SettingsInvalidError(
                "tls_certificate_file and tls_private_key_file must be given together"
            )
        unknown = sorted(set(self.allowed_capabilities) - set(CAPABILITIES))
        if unknown:
            raise SettingsInvalidError(
                f"allowed_capabilities: {unknown[0]!r} is none of {', '.join(CAPABILITIES)}"
            )
        self.check_proxies()
        try:
            self.worker_plan  # noqa: B018  # parsed to be refused early
        except WorkersInvalidError as refused:
            raise SettingsInvalidError(refused.message) from refused
        if self.listen_port > 65_535:
            raise SettingsInvalidError(f"listen: port {self.listen_port} is above 65535")

    @property
    def worker_plan(self) -> WorkerPlan:
        """The processes that `workers` asks for."""
        cores = min(os.cpu_count() or 1, _FLOW_PROCESSES_MAX)
        return WorkerPlan.parse(self.workers, flow_count=cores)

    @property
    def listen_host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        return int(self.listen.rpartition(":")[2])
