"""How flows run, what is kept of them, and where their messages go."""

import dataclasses
import os
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from host.settings.kinds import INT_MAX, Workers


@dataclass(frozen=True, kw_only=True)
class FlowSettings:
    """The settings of flows and of the bus."""

    flow_workers: Annotated[
        Workers, Meta(description="Threads that run flows, in each process that runs flows.")
    ] = dataclasses.field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    flow_parked_max: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Suspended flows of a process whose sandboxes stay for their next step,"
            " for up to 30 seconds; each takes a thread and the memory that its guest has filled,"
            " 0 keeps none.",
        ),
    ] = 32
    flow_parked_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            description="Memory in bytes of all sandboxes that a process keeps in this way; those"
            " of the node that has most go first.",
        ),
    ] = 512 * 1024 * 1024
    flow_parked_node_bytes_max: Annotated[
        int,
        Meta(ge=0, description="The same for the sandboxes of one virtual node in a process."),
    ] = 256 * 1024 * 1024
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
            le=INT_MAX,
            description="Milliseconds from the first failure in which a record is tried again "
            "(Corda: processing.maxRetryWindowDuration).",
        ),
    ] = 300_000
    flow_processing_max_retry_delay: Annotated[
        int,
        Meta(
            ge=1000,
            le=INT_MAX,
            description="Milliseconds between two retries, at most "
            "(Corda: processing.maxRetryDelay).",
        ),
    ] = 16_000
    flow_processing_max_flow_sleep_duration: Annotated[
        int,
        Meta(
            ge=1000,
            le=INT_MAX,
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
            le=INT_MAX,
            description="Milliseconds for which repeated starts and late messages of an ended "
            "flow are recognised (Corda: processing.cleanupTime, session.cleanupTime).",
        ),
    ] = 600_000
    flow_session_timeout: Annotated[
        int,
        Meta(
            ge=1000,
            le=INT_MAX,
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
    topic_retention_seconds: Annotated[
        int,
        Meta(
            ge=60,
            description="Seconds for which dead letters are kept, and records of other topics that"
            " flows do not consume; external messages stay until they are fetched.",
        ),
    ] = 604_800
    topic_retention_bytes_max: Annotated[
        int,
        Meta(
            ge=1024,
            description="Bytes of values that each of these topics keeps of each virtual node; a"
            " node's own oldest records go first.",
        ),
    ] = 64 * 1024 * 1024
    topic_retention_external_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds after which external messages are deleted though nobody has"
            " fetched them; 0 keeps them, and at its limit a node sends no more.",
        ),
    ] = 0
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
            description="Ended flows of one virtual node whose history is kept, at most; the oldest"
            " go first.",
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
    audit_log_segment_bytes: Annotated[
        int,
        Meta(
            ge=64 * 1024,
            le=1024 * 1024 * 1024,
            description="Bytes after which a node's audit log goes on in a new file; the older ones"
            " stay.",
        ),
    ] = 16 * 1024 * 1024
    flow_journal_calls_max: Annotated[
        int, Meta(ge=1, description="Host calls in the journal of one flow.")
    ] = 10_000
    flow_journal_bytes_max: Annotated[
        int, Meta(ge=1024, description="Bytes of all answers in the journal of one flow.")
    ] = 64 * 1024 * 1024
    flow_journals_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 20,
            description="Bytes of the checkpoints and journals of all open flows of one virtual"
            " node.",
        ),
    ] = 1024 * 1024 * 1024
    flow_bus_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 20,
            description="Bytes that one virtual node may have on the bus: on their way, unread, set"
            " aside, and external messages that nobody has fetched.",
        ),
    ] = 256 * 1024 * 1024
    flow_statuses_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 20,
            description="Bytes of the flow statuses of one virtual node, with their results; the"
            " oldest of ended flows go first.",
        ),
    ] = 64 * 1024 * 1024
    flow_histories_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 20,
            description="Bytes of the histories of one virtual node's ended flows; the oldest go"
            " first.",
        ),
    ] = 256 * 1024 * 1024
    flows_open_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Flows of one virtual node that have not ended, responders among them.",
        ),
    ] = 10_000
    flows_open_from_node_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Responders of one virtual node that one initiating node may have open;"
            " never more than half of `flows_open_max`.",
        ),
    ] = 2_000
    flow_hops_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Sessions that may follow from one another, each opened by the responder of"
            " the one before.",
        ),
    ] = 16
    flow_descendants_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Flows that may follow from one that a client started: responders of its"
            " sessions, and of theirs. Each session gets a share.",
        ),
    ] = 20_000
