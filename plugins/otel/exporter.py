"""Sends spans in batches, on a thread of its own, by OTLP over HTTP."""

import logging

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from plugins.otel.settings import OtelSettings

_SECONDS_MAX = 10
_DELAY_MS = 2000
_BATCH = 512


def batches(
    settings: OtelSettings, authorization: str | None, *, queue_max: int
) -> BatchSpanProcessor:
    """What takes spans at once, and sends them later; full, it drops them."""
    # The failure of a collector that is away would be logged every two seconds.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    ca_file = settings.otel_ca_file
    exporter = OTLPSpanExporter(
        endpoint=settings.otel_endpoint,
        certificate_file=None if ca_file is None else str(ca_file),
        headers={} if authorization is None else {"authorization": authorization},
        timeout=_SECONDS_MAX,
    )
    return BatchSpanProcessor(
        exporter,
        max_queue_size=queue_max,
        schedule_delay_millis=_DELAY_MS,
        max_export_batch_size=min(_BATCH, queue_max),
    )
