"""Traces of requests, flows, steps and session messages, sent to an OpenTelemetry collector.

Needs the extra `otel`, and is loaded by `plugins`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from host.runtime.hookspecs import hookimpl

if TYPE_CHECKING:
    from host.ports.tracing import Tracer
    from host.settings import HostSettings
    from host.settings.live import LiveConfig
    from host.settings.plugged import PluginSettings

# What sends spans is an extra, and large: every process of a host loads this module.


@hookimpl
def register_settings() -> PluginSettings:
    """The settings `otel_…`, and the section `otel.exporter`."""
    from host.settings.plugged import PluginSettings  # noqa: PLC0415  # see above
    from plugins.otel.settings import EXPORTER, OtelSettings  # noqa: PLC0415  # see above

    return PluginSettings(bootstrap=OtelSettings, sections=[EXPORTER])


@hookimpl
def register_tracer(settings: HostSettings, config: LiveConfig) -> Tracer:
    """The collector that `otel_endpoint` names."""
    from plugins.otel.exporter import batches  # noqa: PLC0415  # see above
    from plugins.otel.settings import EXPORTER, OtelSettings  # noqa: PLC0415  # see above
    from plugins.otel.tracer import OtelTracer  # noqa: PLC0415  # see above

    own, live = settings.plugin(OtelSettings), config.section(EXPORTER)
    secret = live.get().authorization
    header = None if secret is None else config.opened(secret)
    processor = batches(own, header, queue_max=live.get().queue_max)
    return OtelTracer(processor, own.otel_service_name, lambda: live.get().sample_percent)
