"""Corda's sections, with the keys that apply here and Corda's defaults. Pure.

Limits are also Corda's, unless ours are narrower for a reason given in the key's meaning.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from host.settings.kinds import INT_MAX, MILLIS_MAX
from host.settings.section import CordaKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaFlow:
    """Section `corda.flow`. Times are milliseconds."""

    processing_max_retry_attempts: Annotated[
        int,
        CordaKey("processing.maxRetryAttempts"),
        Meta(ge=0, le=1000, description="Retries after a transient failure."),
    ] = 5
    processing_max_retry_window_duration: Annotated[
        int,
        CordaKey("processing.maxRetryWindowDuration"),
        Meta(
            ge=0,
            le=INT_MAX,
            description="Milliseconds from the first failure in which a record is tried again.",
        ),
    ] = 300_000
    processing_max_retry_delay: Annotated[
        int,
        CordaKey("processing.maxRetryDelay"),
        Meta(ge=1000, le=INT_MAX, description="Milliseconds between two retries, at most."),
    ] = 16_000
    processing_max_flow_sleep_duration: Annotated[
        int,
        CordaKey("processing.maxFlowSleepDuration"),
        Meta(ge=1000, le=INT_MAX, description="Milliseconds of one sleep of a flow, at most."),
    ] = 900_000
    processing_max_idle_time: Annotated[
        int,
        CordaKey("processing.maxIdleTime"),
        Meta(
            ge=60_000,
            le=31_557_600_000,
            description="Milliseconds after which a flow fails to which nothing happens.",
        ),
    ] = 1_800_000
    processing_cleanup_time: Annotated[
        int,
        CordaKey("processing.cleanupTime"),
        Meta(
            ge=10_000,
            le=INT_MAX,
            description="Milliseconds for which repeated starts and late messages of an ended flow"
            " are recognised; Corda's session.cleanupTime, too.",
        ),
    ] = 600_000
    session_timeout: Annotated[
        int,
        CordaKey("session.timeout"),
        Meta(
            ge=1000,
            le=INT_MAX,
            description="Milliseconds without a message from the peer after which a flow with an"
            " open session fails, unless it chose another time.",
        ),
    ] = 1_800_000
    session_max_payload_size: Annotated[
        int,
        CordaKey("session.maxPayloadSize"),
        Meta(
            ge=1,
            le=100 * 1024 * 1024,
            description="Bytes of one session payload, at most. Corda's default is the limit.",
        ),
    ] = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaMessaging:
    """Section `corda.messaging`."""

    max_allowed_message_size: Annotated[
        int,
        CordaKey("maxAllowedMessageSize"),
        Meta(
            ge=512_000,
            le=8_388_608,
            description="Bytes of one message on the bus; larger session payloads travel in"
            " chunks.",
        ),
    ] = 972_800


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaExternalMessaging:
    """Section `corda.externalMessaging`: routes to systems outside the network."""

    receive_topic_pattern: Annotated[
        str,
        CordaKey("routeDefaults.receiveTopicPattern"),
        Meta(
            pattern=r"^ext\.(?:[-._A-Za-z0-9]|\$HOLDING_ID|\$CHANNEL_NAME){1,200}$",
            description="Topic of messages to systems outside the network, below `ext.`.",
        ),
    ] = "ext.$HOLDING_ID.$CHANNEL_NAME.receive"
    active: Annotated[
        bool,
        CordaKey("routeDefaults.active"),
        Meta(description="Whether messages to systems outside the network are sent."),
    ] = True
    inactive_response_type: Annotated[
        Literal["ERROR", "IGNORE"],
        CordaKey("routeDefaults.inactiveResponseType"),
        Meta(description="What a flow sees of a message that is not sent: an error, or nothing."),
    ] = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaRest:
    """Section `corda.rest`."""

    max_content_length: Annotated[
        int,
        CordaKey("maxContentLength"),
        Meta(ge=1024, le=INT_MAX, description="Largest request body in bytes."),
    ] = 200_000_000
    flow_status_cleanup_time_ms: Annotated[
        int,
        CordaKey("flowStatusCleanupTimeMs"),
        Meta(
            ge=60_000,
            le=MILLIS_MAX,
            description="Milliseconds for which the status of an ended flow is kept.",
        ),
    ] = 604_800_000
