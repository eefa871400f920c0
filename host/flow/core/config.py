"""Settings of flows for operators, with Corda's defaults (`corda.flow` and others)."""

from dataclasses import dataclass
from typing import Literal

from host.ports.live import Fixed

MIB = 1024 * 1024
_ENVELOPE_BYTES = 64 * 1024
"""Maximum bytes of a message besides its payload: names, ids, the init with its context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowConfig:
    """Limits and times of the flow engine, with Corda's keys; times are milliseconds.

    Attributes:
        max_retry_attempts: maximum retries of a record after transient failures, before it becomes
            a dead letter (processing.maxRetryAttempts).
        max_retry_window_ms: maximum time of retries since the first failure
            (processing.maxRetryWindowDuration).
        max_retry_delay_ms: maximum delay between two retries (processing.maxRetryDelay).
        max_sleep_ms: maximum duration of one sleep (processing.maxFlowSleepDuration).
        max_idle_ms: time without an event after which a flow fails (processing.maxIdleTime).
        cleanup_ms: how long the mapper keeps its states of an ended flow (processing.cleanupTime,
            session.cleanupTime).
        session_timeout_ms: time without a message from the peer after which a session fails, unless
            the flow sets another time (session.timeout).
        max_payload_bytes: maximum UTF-8 size of a session payload (session.maxPayloadSize).
        max_message_bytes: maximum size of a record on the bus; larger payloads are sent in chunks
            (messaging.maxAllowedMessageSize).
        max_result_bytes: maximum UTF-8 size of a flow's result, which is stored in its status.
        status_retention_ms: how long an ended flow's status is kept (rest.flowStatusCleanupTimeMs).
        hops_max: maximum length of a chain of sessions, each opened by the responder of the
            previous one.
        descendants_max: maximum descendants of a client-started flow, over all sessions.
        external_topic: topic of messages to external systems, with `$HOLDING_ID` and
            `$CHANNEL_NAME` (externalMessaging.routeDefaults.receiveTopicPattern).
        external_active: whether such messages are sent (routeDefaults.active).
        external_inactive: what a flow gets if they are not sent: an error, or nothing
            (routeDefaults.inactiveResponseType).
        publishes_statuses: whether the statuses of client-started flows leave the cluster, as
            records of `flow.status`: where a relay sends them.
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
    publishes_statuses: bool = False

    @property
    def chunk_characters(self) -> int:
        """Number of arbitrary payload characters that fit one message.

        A character takes at most 4 bytes in the message, as UTF-8 or as a JSON escape.
        """
        return max((self.max_message_bytes - _ENVELOPE_BYTES) // 4, 1)


CORDA_DEFAULTS = FlowConfig()
FIXED_DEFAULTS = Fixed(CORDA_DEFAULTS)
