"""Sections of our own about running flows and their retention. Pure."""

import dataclasses
import os
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from host.settings.kinds import SECONDS_MAX, TIB, Workers
from host.settings.section import AtStart


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowValues:
    """Section `cordbox.flow`."""

    workers: Annotated[
        Workers,
        AtStart(),
        Meta(description="Threads that run flows, in each process that runs flows."),
    ] = dataclasses.field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    parked_max: Annotated[
        int,
        AtStart(),
        Meta(
            ge=0,
            le=1000,
            description="Suspended flows of a process whose sandboxes stay for their next step,"
            " for up to 30 seconds; each takes a thread and the memory that its guest has filled,"
            " 0 keeps none.",
        ),
    ] = 32
    parked_bytes_max: Annotated[
        int,
        AtStart(),
        Meta(
            ge=0,
            le=TIB,
            description="Memory in bytes of all sandboxes that a process keeps in this way; those"
            " of the node that has most go first.",
        ),
    ] = 512 * 1024 * 1024
    result_bytes_max: Annotated[
        int,
        Meta(ge=1, le=100 * 1024 * 1024, description="Bytes of a flow's result, at most."),
    ] = 4 * 1024 * 1024
    history_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=SECONDS_MAX,
            description="Seconds for which the history of an ended flow is kept for "
            "`cordbox flow show` and `replay`; 0 keeps none.",
        ),
    ] = 604_800
    history_flows_max: Annotated[
        int,
        Meta(
            ge=32,
            le=10_000_000,
            description="Ended flows of one virtual node whose history is kept, at most; the oldest"
            " go first.",
        ),
    ] = 10_000
    history_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            le=64 * 1024 * 1024,
            description="Bytes of one ended flow's history; of a larger one only facts are kept.",
        ),
    ] = 1024 * 1024
    hops_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Sessions that may follow from one another, each opened by the responder of"
            " the one before.",
        ),
    ] = 16
    descendants_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Flows that may follow from one that a client started: responders of its"
            " sessions, and of theirs. Each session gets a share.",
        ),
    ] = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicValues:
    """Section `cordbox.topic`: topics that flows do not consume."""

    retention_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=SECONDS_MAX,
            description="Seconds for which dead letters are kept, and records of other topics that"
            " flows do not consume; external messages stay until they are fetched.",
        ),
    ] = 604_800
    retention_bytes_max: Annotated[
        int,
        Meta(
            ge=1024,
            le=TIB,
            description="Bytes of values that each of these topics keeps of each virtual node; a"
            " node's own oldest records go first.",
        ),
    ] = 64 * 1024 * 1024
    retention_external_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=SECONDS_MAX,
            description="Seconds after which external messages are deleted though nobody has"
            " fetched them; 0 keeps them, and at its limit a node sends no more.",
        ),
    ] = 0
