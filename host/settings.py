"""Settings of one host: one frozen value, read once at start and handed down.

A setting comes from the command line, else from the environment (`CORDBOX_` and the setting's name
in upper case), else from `cordbox.toml`, else it has the default below. Lists are separated by
commas in the environment. `described_settings` gives every setting with its meaning.
"""

import dataclasses
import os
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from host.domain.errors import InvalidInputError
from host.domain.workers import WorkerPlan, WorkersInvalidError

CAPABILITIES = (
    "log",
    "flow",
    "sessions",
    "persistence",
    "signing",
    "crypto",
    "membership",
    "ledger",
    "external-messaging",
)
"""Every interface of the workflow world."""

_ENVIRONMENT_PREFIX = "CORDBOX_"
_FILE_BYTES_MAX = 1 << 20
_ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):[0-9]{1,5}$"
_FLOW_PROCESSES_MAX = 4
"""Each takes about 100 MB: a laptop with many cores should not pay for all of them unasked."""
_INT_MAX = 2_147_483_647

_Bytes = Annotated[int, Meta(ge=1)]
_Workers = Annotated[int, Meta(ge=1, le=256)]


class SettingsInvalidError(InvalidInputError):
    """A setting is unknown, or its value is not allowed."""

    code = "settings-invalid"


def home_cache_dir() -> Path:
    """`~/.cache/cordbox`: where compiled code is kept unless something else is asked for."""
    return Path.home() / ".cache" / "cordbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """All settings of `cordbox host run`."""

    data_dir: Annotated[Path, Meta(description="Directory that holds everything the host stores.")]
    cache_dir: Annotated[
        Path, Meta(description="Directory of compiled code; may be shared, may be deleted.")
    ] = dataclasses.field(default_factory=home_cache_dir)
    listen: Annotated[
        str,
        Meta(
            pattern=_ADDRESS,
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
        _Bytes, Meta(description="Largest request body in bytes (Corda: rest.maxContentLength).")
    ] = 200_000_000
    rest_threads: Annotated[
        _Workers, Meta(description="Requests that are worked on at the same time.")
    ] = 16
    flow_workers: Annotated[
        _Workers, Meta(description="Threads that run flows, in each process that runs flows.")
    ] = dataclasses.field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    flow_parked_max: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Suspended flows of a process whose sandboxes stay for their next step,"
            " for up to 30 seconds; each takes a thread and some megabytes, 0 keeps none.",
        ),
    ] = 32
    flow_processing_max_retry_attempts: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Retries after a transient failure (Corda: processing.maxRetryAttempts).",
        ),
    ] = 5
    flow_processing_max_retry_window_duration: Annotated[
        int,
        Meta(
            ge=0,
            le=_INT_MAX,
            description="Milliseconds from the first failure in which a record is tried again "
            "(Corda: processing.maxRetryWindowDuration).",
        ),
    ] = 300_000
    flow_processing_max_retry_delay: Annotated[
        int,
        Meta(
            ge=1000,
            le=_INT_MAX,
            description="Milliseconds between two retries, at most "
            "(Corda: processing.maxRetryDelay).",
        ),
    ] = 16_000
    flow_processing_max_flow_sleep_duration: Annotated[
        int,
        Meta(
            ge=1000,
            le=_INT_MAX,
            description="Milliseconds of one sleep of a flow, at most "
            "(Corda: processing.maxFlowSleepDuration).",
        ),
    ] = 900_000
    flow_processing_max_idle_time: Annotated[
        int,
        Meta(
            ge=60_000,
            le=31_557_600_000,
            description="Milliseconds after which a flow fails to which nothing happens "
            "(Corda: processing.maxIdleTime).",
        ),
    ] = 1_800_000
    flow_processing_cleanup_time: Annotated[
        int,
        Meta(
            ge=10_000,
            le=_INT_MAX,
            description="Milliseconds for which repeated starts and late messages of an ended "
            "flow are recognised (Corda: processing.cleanupTime, session.cleanupTime).",
        ),
    ] = 600_000
    flow_session_timeout: Annotated[
        int,
        Meta(
            ge=1000,
            le=_INT_MAX,
            description="Milliseconds without a message from the peer after which a flow with an "
            "open session fails, unless it chose another time (Corda: session.timeout).",
        ),
    ] = 1_800_000
    flow_session_max_payload_size: Annotated[
        int,
        Meta(
            ge=1,
            le=100 * 1024 * 1024,
            description="Bytes of one session payload, at most (Corda: session.maxPayloadSize).",
        ),
    ] = 16 * 1024 * 1024
    messaging_max_allowed_message_size: Annotated[
        int,
        Meta(
            ge=512_000,
            le=8_388_608,
            description="Bytes of one message on the bus; larger session payloads travel in "
            "chunks (Corda: messaging.maxAllowedMessageSize).",
        ),
    ] = 972_800
    flow_result_bytes_max: Annotated[
        int,
        Meta(ge=1, le=100 * 1024 * 1024, description="Bytes of a flow's result, at most."),
    ] = 4 * 1024 * 1024
    external_messaging_receive_topic_pattern: Annotated[
        str,
        Meta(
            pattern=r"^ext\.(?:[-._A-Za-z0-9]|\$HOLDING_ID|\$CHANNEL_NAME){1,200}$",
            description="Topic of messages to systems outside the network, below `ext.` "
            "(Corda: externalMessaging.routeDefaults.receiveTopicPattern).",
        ),
    ] = "ext.$HOLDING_ID.$CHANNEL_NAME.receive"
    external_messaging_active: Annotated[
        bool,
        Meta(
            description="Whether messages to systems outside the network are sent "
            "(Corda: externalMessaging.routeDefaults.active)."
        ),
    ] = True
    external_messaging_inactive_response_type: Annotated[
        Literal["ERROR", "IGNORE"],
        Meta(
            description="What a flow sees of a message that is not sent: an error, or nothing "
            "(Corda: externalMessaging.routeDefaults.inactiveResponseType)."
        ),
    ] = "ERROR"
    rest_flow_status_cleanup_time_ms: Annotated[
        int,
        Meta(
            ge=60_000,
            description="Milliseconds for which the status of an ended flow is kept "
            "(Corda: rest.flowStatusCleanupTimeMs).",
        ),
    ] = 604_800_000
    workers: Annotated[
        str,
        Meta(
            description="Worker processes: `combined` (one process does everything), or kinds with"
            " counts such as `flow=2,crypto=1`. There is always one of kind rest; flow without a"
            " count is one for each core, at most 4."
        ),
    ] = "flow"
    monitor_listen: Annotated[
        Annotated[str, Meta(pattern=_ADDRESS)] | None,
        Meta(
            description="Address of `/isHealthy`, `/status` and `/metrics` of the first worker"
            " process; each further one takes the next port. Without it only REST has them.",
        ),
    ] = None
    topic_retention_seconds: Annotated[
        int,
        Meta(
            ge=60,
            description="Seconds for which records of topics that flows do not consume are kept: "
            "dead letters and external messages.",
        ),
    ] = 604_800
    topic_retention_bytes_max: Annotated[
        int,
        Meta(
            ge=1024,
            description="Bytes of values that each of these topics keeps; the oldest records go"
            " first.",
        ),
    ] = 64 * 1024 * 1024
    flow_history_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds for which the history of an ended flow is kept for "
            "`cordbox flow show` and `replay`; 0 keeps none.",
        ),
    ] = 604_800
    flow_history_flows_max: Annotated[
        int,
        Meta(
            ge=32,
            le=10_000_000,
            description="Ended flows whose history is kept, at most; the oldest go first.",
        ),
    ] = 10_000
    flow_history_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            le=64 * 1024 * 1024,
            description="Bytes of one ended flow's history; of a larger one only facts are kept.",
        ),
    ] = 1024 * 1024
    allowed_capabilities: Annotated[
        tuple[str, ...],
        Meta(description="Capabilities that virtual nodes may be granted, at most."),
    ] = CAPABILITIES
    guest_fuel_max: Annotated[
        int, Meta(ge=1, description="Fuel (about one unit per instruction) of one sandbox run.")
    ] = 2_000_000_000
    guest_memory_bytes_max: Annotated[
        int, Meta(ge=1 << 16, description="Linear memory of one sandbox in bytes.")
    ] = 128 * 1024 * 1024
    guest_wall_ms_max: Annotated[
        int, Meta(ge=1, description="Milliseconds that one sandbox run may take.")
    ] = 10_000
    vault_bytes_max: Annotated[
        int,
        Meta(ge=1 << 20, description="Bytes that the storage of one virtual node may take."),
    ] = 1024 * 1024 * 1024
    guest_fuel_per_second_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Fuel that the runs of one virtual node may use in a second on average; "
            "what is beyond waits.",
        ),
    ] = 4_000_000_000
    guest_table_elements_max: Annotated[
        int, Meta(ge=1, description="Elements of each table of one sandbox.")
    ] = 100_000
    guest_host_calls_max: Annotated[
        int, Meta(ge=1, description="Host calls of one sandbox run, replayed ones included.")
    ] = 10_000
    guest_log_bytes_max: Annotated[
        int, Meta(ge=0, description="Bytes that one sandbox run may log.")
    ] = 64 * 1024
    guest_log_bytes_per_second_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Bytes that the runs of one virtual node may log in a second on average; "
            "what is beyond waits.",
        ),
    ] = 256 * 1024
    guest_payload_bytes_max: Annotated[
        int,
        Meta(ge=1024, description="Bytes of any one text that crosses a sandbox's boundary."),
    ] = 4 * 1024 * 1024
    flow_journal_calls_max: Annotated[
        int, Meta(ge=1, description="Host calls in the journal of one flow.")
    ] = 10_000
    flow_journal_bytes_max: Annotated[
        int, Meta(ge=1024, description="Bytes of all answers in the journal of one flow.")
    ] = 64 * 1024 * 1024
    flows_open_max: Annotated[
        int,
        Meta(ge=1, description="Client-started flows of one virtual node that have not ended."),
    ] = 10_000
    isolation: Annotated[
        Literal["shared", "process"],
        Meta(
            description="Where guests run: `shared` (in the process that runs flows) or `process`"
            " (a sealed process for each virtual node, about 35 MB each while it is in use)."
        ),
    ] = "shared"
    isolation_required: Annotated[
        tuple[str, ...],
        Meta(
            description="Walls of `isolation = process` without which the host does not start,"
            " for example `seccomp`; those in force are in the log line `isolation`."
        ),
    ] = ()
    isolation_processes_max: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Guests' processes of one process that runs flows."),
    ] = 64
    isolation_idle_seconds: Annotated[
        int, Meta(ge=1, description="Seconds after which an unused guests' process is ended.")
    ] = 60
    isolation_memory_bytes_max: Annotated[
        int,
        Meta(
            ge=256 * 1024 * 1024,
            description="Private memory in bytes of one guests' process, all its sandboxes"
            " together.",
        ),
    ] = 2 * 1024 * 1024 * 1024
    plugins: Annotated[
        tuple[str, ...],
        Meta(description="Plugins to load: `embedded`, or names of entry points."),
    ] = ("embedded",)
    plugin_entry_points: Annotated[
        bool, Meta(description="Whether `plugins` may name entry points of installed packages.")
    ] = False
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


def described_settings() -> Mapping[str, str]:
    """Name and meaning of every setting, in order."""
    hints = typing.get_type_hints(HostSettings, include_extras=True)
    return {
        field.name: next(
            meta.description
            for meta in reversed(typing.get_args(hints[field.name]))
            if isinstance(meta, Meta) and meta.description
        )
        for field in dataclasses.fields(HostSettings)
    }


def encode_settings(settings: HostSettings) -> bytes:
    """Settings as another process of the same host reads them by `decode_settings`."""
    return msgspec.json.encode(settings, enc_hook=_absolute)


def decode_settings(data: bytes) -> HostSettings:
    """Settings that `encode_settings` wrote.

    Raises:
        SettingsInvalidError: this release would not have written them.
    """
    try:
        return msgspec.json.decode(data, type=HostSettings, dec_hook=_decode)
    except msgspec.MsgspecError as error:
        raise SettingsInvalidError(f"settings of the running host: {error}") from error


def load_settings(
    *, options: Mapping[str, object], file: Path | None, environment: Mapping[str, str]
) -> HostSettings:
    """Put settings together: `options` that are not None win, then environment, then `file`.

    Raises:
        SettingsInvalidError: unknown setting, or a value of a wrong type or out of range.
    """
    from_options = {name: value for name, value in options.items() if value is not None}
    merged = {**_from_file(file), **_from_environment(environment), **from_options}
    try:
        return msgspec.convert(merged, HostSettings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, SettingsInvalidError):
            raise error.__cause__ from None
        raise SettingsInvalidError(f"settings: {error}") from error


def _from_file(file: Path | None) -> Mapping[str, object]:
    if file is None:
        return {}
    try:
        data = file.read_bytes()
        if len(data) > _FILE_BYTES_MAX:
            raise SettingsInvalidError(f"{file}: larger than {_FILE_BYTES_MAX} bytes")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise SettingsInvalidError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalidError(f"{file}: {error}") from error
    unknown = sorted(set(values) - set(described_settings()))
    if unknown:
        raise SettingsInvalidError(f"{file}: unknown setting {unknown[0]!r}")
    return values


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, object]:
    hints = typing.get_type_hints(HostSettings)
    values: dict[str, object] = {}
    for name in described_settings():
        text = environment.get(_ENVIRONMENT_PREFIX + name.upper())
        if text is None:
            continue
        is_list = typing.get_origin(hints[name]) is tuple
        values[name] = (
            [part.strip() for part in text.split(",") if part.strip()] if is_list else text
        )
    return values


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise TypeError(f"expected a path, found {value!r:.64}")


def _absolute(path: object) -> str:
    """The other process may be in another working directory."""
    assert isinstance(path, Path), path  # noqa: S101  # nothing else is no JSON
    return str(path.absolute())
