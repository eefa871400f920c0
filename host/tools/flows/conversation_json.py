"""A conversation as JSON for other programs: lanes and rows, without payloads."""

import json
from typing import Any

from host.tools.flows.conversation import Conversation, Lane, Row


def conversation_json(conversation: Conversation) -> str:
    """`{"begunAt", "lanes", "rows"}`; times of rows are milliseconds since `begunAt`."""
    document = {
        "begunAt": conversation.begun_at,
        "lanes": [_lane(lane) for lane in conversation.lanes],
        "rows": [_row(row) for row in conversation.rows],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _lane(lane: Lane) -> dict[str, Any]:
    recording = lane.recording
    return {
        "node": recording.node.name,
        "holdingIdentityShortHash": recording.node.short_hash,
        "flowId": recording.flow.id,
        "flowClass": recording.flow.flow_class,
        "clientRequestId": recording.flow.request_id,
        "isResponder": recording.flow.is_responder,
        "status": recording.outcome.status,
        "steps": recording.step_count,
    }


def _row(row: Row) -> dict[str, Any]:
    facts = {
        "at": row.at,
        "lane": row.lane,
        "kind": row.kind.value,
        "text": row.text,
        "step": row.step,
        "toLane": row.target,
        "waitedMillis": row.waited or None,
        "isError": row.is_error or None,
    }
    return {key: value for key, value in facts.items() if value is not None}
