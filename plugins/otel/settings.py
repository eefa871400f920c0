"""The settings of the plugin. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.secret import ConfigSecret
from host.settings.section import AtStart, CordaKey, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class OtelSettings:
    """Bootstrap settings: which collector."""

    otel_endpoint: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^\s?#]+$",
            max_length=500,
            description="Where spans are sent, by OTLP over HTTP: the collector's URL with its"
            " path, such as `https://collector.example.com:4318/v1/traces`.",
        ),
    ]
    otel_service_name: Annotated[
        str, Meta(min_length=1, max_length=100, description="Name of this host in traces.")
    ] = "cordbox"
    otel_ca_file: Annotated[
        Path | None,
        Meta(
            description="PEM certificates of the authorities that issued the collector's; without"
            " it, those of common browsers."
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what would have no effect."""
        if self.otel_ca_file is not None and not self.otel_endpoint.startswith("https:"):
            raise SettingsInvalidError("otel_ca_file has no use: otel_endpoint is no https URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterValues:
    """Section `otel.exporter`: how spans are sent."""

    authorization: Annotated[
        ConfigSecret | None,
        AtStart(),
        Meta(description="The header `Authorization` that the collector wants, if it wants one."),
    ] = None
    sample_percent: Annotated[
        int,
        CordaKey("samplePercent"),
        Meta(
            ge=0,
            le=100,
            description="Part of the traces that is kept, chosen by their ids: the same on all"
            " hosts that have the same value.",
        ),
    ] = 100
    queue_max: Annotated[
        int,
        AtStart(),
        CordaKey("queueMax"),
        Meta(
            ge=64,
            le=65_536,
            description="Spans of a process that wait to be sent; of more, the oldest are dropped.",
        ),
    ] = 4096


EXPORTER = Section("otel.exporter", ExporterValues)
