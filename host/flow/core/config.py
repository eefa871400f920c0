"""What operators may set about flows, with Corda's defaults (`corda.flow` and others)."""

from dataclasses import dataclass
from typing import Literal

from host.ports.live import Fixed

MIB = 1024 * 1024
_ENVELOPE_BYTES = 64 * 1024
"""What a message may have beside its payload: names, ids, the init with its context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowConfig:
    """Limits and times of the flow engine. Corda's key stands beside each; times are milliseconds.

    Attributes:
        max_retry_attempts: retries of a record after a transient failure, before it is given up
            (processing.maxRetryAttempts).
        max_retry_window_ms: since the first failure (processing.maxRetryWindowDuration).
        max_retry_delay_ms: between two retries (processing.maxRetryDelay).
        max_sleep_ms: of one sleep (processing.maxFlowSleepDuration).
        max_idle_ms: without an event, after which a flow fails (processing.maxIdleTime).
        cleanup_ms: for which the mapper knows an ended flow (processing.cleanupTime,
            session.cleanupTime).
        session_timeout_ms: without a message from the peer, unless the flow chose another time
            (session.timeout).
        max_payload_bytes: of one session message as UTF-8 (session.maxPayloadSize).
        max_message_bytes: of one record on the bus; larger payloads travel in chunks
            (messaging.maxAllowedMessageSize).
        max_result_bytes: of a flow's result as UTF-8; it stands in the flow's status.
        status_retention_ms: of an ended flow's status (rest.flowStatusCleanupTimeMs).
        hops_max: sessions that may follow from one another, each opened by the responder of the
            one before.
        descendants_max: flows that may follow from one that a client started, over all sessions.
        external_topic: of messages to systems outside, with `$HOLDING_ID` and `$CHANNEL_NAME`
            (externalMessaging.routeDefaults.receiveTopicPattern).
        external_active: whether such messages are sent (routeDefaults.active).
        external_inactive: what a flow sees if not: an error, or nothing
            (routeDefaults.inactiveResponseType).
    """

    max_retry_attempts: int = 5
    max_retry_window_ms: int = 300_000
    max_retry_delay_ms: int = 16_000
    max_sleep_ms: int = 900_000
    max_idle_ms: int = 1_800_000
    cleanup_ms: int = 600_000
    session_timeout_ms: int = 1_800_000
    max_payload_bytes: int = 16 * MIB
    max_message_bytes: int = 972_800
    max_result_bytes: int = 4 * MIB
    status_retention_ms: int = 604_800_000
    hops_max: int = 16
    descendants_max: int = 20_000
    external_topic: str = "ext.$HOLDING_ID.$CHANNEL_NAME.receive"
    external_active: bool = True
    external_inactive: Literal["ERROR", "IGNORE"] = "ERROR"

    @property
    def chunk_characters(self) -> int:
        """Characters of a payload that fit one message, whatever they are.

        A character takes at most 4 bytes in the message: of UTF-8, or with its JSON escape.
        """
        return max((self.max_message_bytes - _ENVELOPE_BYTES) // 4, 1)


CORDA_DEFAULTS = FlowConfig()
FIXED_DEFAULTS = Fixed(CORDA_DEFAULTS)
