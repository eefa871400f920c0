"""Builds a flow's first checkpoint: from a client's start, or from a session's first message.

Pure.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from host.domain.ids import EpochMs, FlowId
from host.domain.packages import CpiRecord, FlowKind
from host.domain.platform import PLATFORM_VERSION, SOFTWARE_VERSION
from host.flow.core.checkpoint import Checkpoint, Scope
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.core.context_keys import is_reserved
from host.flow.core.hops import (
    DESCENDANTS,
    HOPS,
    ORIGIN,
    TOO_MANY_DESCENDANTS,
    TOO_MANY_HOPS,
    descendants_of,
    hops_of,
    too_many_descendants,
    too_many_hops,
)
from host.flow.core.mapper import init_of
from host.flow.core.messages import Init, SessionFailure, SessionMessage, StartFlow
from host.flow.core.session import Session
from host.flow.core.trace_context import OF_TRACE, TRACE_PARENT, of_flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """The flow that responds, the versions of the protocol that it has, and the chosen one."""

    flow_class: str
    versions: tuple[int, ...]
    version: int


def client_flow(
    flow_id: FlowId,
    start: StartFlow,
    cpi: CpiRecord,
    now: EpochMs,
    config: FlowConfig = CORDA_DEFAULTS,
) -> Checkpoint:
    """The first checkpoint of a client-started flow."""
    declared = next((f for f in cpi.startable_flows() if f.name == start.flow_class), None)
    initiating = declared is not None and declared.initiating
    scope = Scope(
        flow=start.flow_class,
        protocol=declared.protocol if declared and initiating else None,
        versions=declared.versions if declared and initiating else (),
        context={
            **platform_context(cpi),
            DESCENDANTS: str(config.descendants_max),
            ORIGIN: flow_id,
            **of_flow(start.trace, flow_id),
        },
    )
    return Checkpoint(
        flow_id=flow_id,
        holding=start.holding,
        cpi_checksum=start.cpi_checksum,
        flow_class=start.flow_class,
        request_id=start.client_request_id,
        body=start.body,
        body_bytes=start.body_bytes,
        responds_to=None,
        created_at=now,
        stack=(scope,),
    )


def responder(
    flow_id: FlowId,
    message: SessionMessage,
    cpi: CpiRecord,
    now: EpochMs,
    config: FlowConfig = CORDA_DEFAULTS,
) -> Checkpoint | SessionFailure:
    """The first checkpoint of the responder that a session's first message requests.

    The version is the highest that both sides support. Source: Corda's FlowProtocolStore.
    """
    return responder_of(
        flow_id, message, cpi, now, config, choose=lambda init: choose_responder(cpi, init)
    )


def responder_of(
    flow_id: FlowId,
    message: SessionMessage,
    cpi: CpiRecord,
    now: EpochMs,
    config: FlowConfig,
    *,
    choose: Callable[[Init], Responder | SessionFailure],
) -> Checkpoint | SessionFailure:
    """As `responder`, by another choice than that of the CPI's flows."""
    init = init_of(message)
    assert init is not None  # noqa: S101  # only first messages start responders
    hops = hops_of(init.platform)
    if hops is None or hops > config.hops_max:
        return SessionFailure(code=TOO_MANY_HOPS, message=too_many_hops(config.hops_max))
    following = descendants_of(init.platform, config.descendants_max)
    if following is None:
        return SessionFailure(
            code=TOO_MANY_DESCENDANTS, message=too_many_descendants(config.descendants_max)
        )
    chosen = choose(init)
    if isinstance(chosen, SessionFailure):
        return chosen
    session = Session(
        id=message.session_id,
        initiator=False,
        me=message.target,
        peer=message.source,
        protocol=init.protocol,
        versions=chosen.versions,
        version=chosen.version,
        require_close=init.require_close,
        context=init.context,
        platform=init.platform,
        payload_max=config.max_payload_bytes,
        timeout_ms=config.session_timeout_ms,
        last_heard=now,
    )
    own = {k: v for k, v in init.context.items() if not is_reserved(k)}
    limits = {HOPS: str(hops), DESCENDANTS: str(following)}
    trace = of_flow(init.platform.get(TRACE_PARENT), flow_id)
    platform = {k: v for k, v in init.platform.items() if k not in OF_TRACE}
    context = {**own, **platform, **limits, **_cpi_context(cpi), **trace}
    return Checkpoint(
        flow_id=flow_id,
        holding=message.target,
        cpi_checksum=cpi.file_checksum,
        flow_class=chosen.flow_class,
        request_id=message.session_id,
        body=None,
        responds_to=message.session_id,
        created_at=now,
        stack=(Scope(flow=chosen.flow_class, protocol=None, context=context),),
        sessions={session.id: session},
    )


def choose_responder(cpi: CpiRecord, init: Init) -> Responder | SessionFailure:
    """The responder of the protocol with the highest common version."""
    return highest(
        init,
        (
            (flow.name, flow.versions)
            for cpk in cpi.workflow_cpks()
            for flow in cpk.flows
            if flow.kind is FlowKind.RESPONDER and flow.protocol == init.protocol
        ),
    )


def highest(
    init: Init, candidates: Iterable[tuple[str, tuple[int, ...]]]
) -> Responder | SessionFailure:
    """Of flow classes with versions, the one that shares the highest with the initiator."""
    common = [
        Responder(flow_class=name, versions=versions, version=max(shared))
        for name, versions in candidates
        if (shared := set(versions) & set(init.versions))
    ]
    if not common:
        versions = ", ".join(map(str, init.versions))
        return SessionFailure(
            code="session-no-responder",
            message=f"No responder is configured for protocol {init.protocol} at versions"
            f" [{versions}]",
        )
    return max(common, key=lambda each: (each.version, each.flow_class))


def platform_context(cpi: CpiRecord) -> dict[str, str]:
    """Context properties that the platform sets for a client-started flow."""
    return {
        **_cpi_context(cpi),
        "corda.initialPlatformVersion": str(PLATFORM_VERSION),
        "corda.initialSoftwareVersion": SOFTWARE_VERSION,
        HOPS: "0",
    }


def _cpi_context(cpi: CpiRecord) -> dict[str, str]:
    """Properties of the node that runs the flow; a responder's others come from its initiator."""
    checksums = {
        f"corda.cpkFileChecksum.{number}": cpk.file_checksum for number, cpk in enumerate(cpi.cpks)
    }
    return {
        "corda.cpiName": cpi.identity.name,
        "corda.cpiVersion": cpi.identity.version,
        "corda.cpiSignerSummaryHash": cpi.identity.signer_summary_hash,
        "corda.cpiFileChecksum": cpi.file_checksum,
        **checksums,
    }


def start_argument(checkpoint: Checkpoint, body: str | None) -> str:
    """The argument of the export `run`, the same at every run of the flow.

    Args:
        checkpoint: of the flow.
        body: its request body, JSON text, which is inserted unchanged.
    """
    session = None
    if checkpoint.responds_to is not None:
        held = checkpoint.sessions[checkpoint.responds_to]
        session = {
            "id": held.id,
            "counterparty": held.peer.name,
            "protocol": held.protocol,
            "version": held.version,
        }
    facts = {
        "flowId": checkpoint.flow_id,
        "flowClass": checkpoint.flow_class,
        "me": checkpoint.holding.name,
    }
    head = _text(facts).removesuffix("}")
    return f'{head},"requestBody":{body or "null"},"session":{_text(session)}}}'


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
