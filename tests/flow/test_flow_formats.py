"""Stored formats: bytes that a released version has written must be readable for ever."""

import json

import pytest
from msgspec.structs import replace

from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.checkpoint import Asleep, Checkpoint, Scope, Waiting, decode_checkpoint
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.journal import Entry, decode_journal, encode_entry
from host.flow.core.mapper import MapperState, decode_state, encode_state
from host.flow.core.message_trace import Note
from host.flow.core.messages import (
    Data,
    Init,
    Party,
    Respond,
    SessionMessage,
    StartFlow,
    Wake,
    decode_event,
    encode,
)
from host.flow.core.program_state import begin, decode_rows, encode_row
from host.flow.core.session import Session
from host.flow.core.statuses import (
    StoredStatus,
    decode_status,
    read_status,
    read_unread,
    write_status,
)
from host.ports.programs import ProgramId
from host.ports.state import StateRecord

ALICE, BOB = Party(name="O=A, L=L, C=GB", group_id="g"), Party(name="O=B, L=P, C=FR", group_id="g")
PARTIES = b'"source":{"name":"O=A, L=L, C=GB","group_id":"g"},"target":{"name":"O=B, L=P, C=FR","group_id":"g"}'
MESSAGE = SessionMessage(
    session_id="s-INITIATED", sequence=1, source=ALICE, target=BOB,
    payload=Data(payload="7", init=Init(protocol="p", versions=(1, 2), require_close=True, context={"k": "v"})),
)  # fmt: skip
MESSAGE_V1 = (
    b'{"type":"session","v":1,"session_id":"s-INITIATED","sequence":1,' + PARTIES + b',"payload":'
    b'{"type":"data","payload":"7","init":{"protocol":"p","versions":[1,2],"require_close":true,'
    b'"context":{"k":"v"}}},"version":null}'
)
START = StartFlow(
    client_request_id="r", holding=ALICE, cpi_checksum="c", flow_class="F", body="{}",
    requested_at=EpochMs(5),
)  # fmt: skip
START_V1 = (
    b'{"type":"start","v":1,"client_request_id":"r","holding":{"name":"O=A, L=L, C=GB","group_id":'
    b'"g"},"cpi_checksum":"c","flow_class":"F","body":"{}","requested_at":5}'
)
EVENTS = [
    (MESSAGE, MESSAGE_V1),
    (Respond(message=MESSAGE), b'{"type":"respond","v":1,"message":' + MESSAGE_V1 + b"}"),
    (START, START_V1),
    (Wake(), b'{"type":"wake","v":1}'),
]


@pytest.mark.parametrize(("event", "stored"), EVENTS)
def test_events_of_version_1(event: object, stored: bytes) -> None:
    assert decode_event(stored) == event
    newest = stored.replace(b'"context":{"k":"v"}', b'"context":{"k":"v"},"platform":{}')
    newest = newest.replace(b'"requested_at":5', b'"requested_at":5,"body_bytes":0,"trace":null')
    assert encode(event) == newest
    assert decode_event(newest) == event


@pytest.mark.parametrize("stored", [b"", b"{}", b'{"type":"wake","v":2}', b'{"type":"new","v":1}'])
def test_other_events_are_refused(stored: bytes) -> None:
    with pytest.raises(FlowRecordDamagedError):
        decode_event(stored)


def test_journal_rows_of_version_1() -> None:
    entry = Entry(v=1, call=0, function="flow.now", digest="ab", is_error=False, answer='"t"')
    assert decode_journal([b'[1,0,"flow.now","ab",false,"\\"t\\""]']) == [entry]


def test_journal_rows_of_version_2() -> None:
    note = Note(is_sent=True, session="s", sequence=1, kind="data", size=3, at=EpochMs(8))
    entry = Entry(
        call=0, function="flow.now", digest="ab", is_error=False, answer="1", since=EpochMs(7),
        at=EpochMs(9), request="{}", notes=(note,),
    )  # fmt: skip
    stored = b'[2,0,"flow.now","ab",false,"1",7,9,"{}",[[true,"s",1,"data",3,8]]]'
    assert encode_entry(entry) == stored
    assert decode_journal([stored]) == [entry]
    with pytest.raises(FlowRecordDamagedError, match="format 3, expected 1 or 2"):
        decode_journal([b'[3,0,"flow.now","ab",false,"x"]'])


def test_mapper_states_of_version_1() -> None:
    assert (
        encode_state(MapperState(flow_id=FlowId("f")))
        == b'{"v":1,"flow_id":"f","status":null,"failed":false,"node":null}'
    )
    assert decode_state(b'{"v":1,"flow_id":"f"}').flow_id == "f"
    with pytest.raises(FlowRecordDamagedError):
        decode_state(b'{"v":3,"flow_id":"f"}')


def test_checkpoints_of_version_1() -> None:
    session = Session(
        id="s", initiator=True, me=ALICE, peer=BOB, protocol="p", versions=(1,),
        require_close=True, context={}, timeout_ms=5, last_heard=EpochMs(1),
    )  # fmt: skip
    checkpoint = Checkpoint(
        flow_id=FlowId("f"), holding=ALICE, cpi_checksum="c", flow_class="F", request_id="r",
        body=None, responds_to=None, created_at=EpochMs(1), stack=(Scope(flow="F", protocol="p"),),
        sessions={"s": session}, calls=1,
        waiting=Waiting(call=1, function="flow.sleep", digest="d", condition=Asleep(until=EpochMs(9))),
    )  # fmt: skip
    stored = (
        b'{"v":1,"flow_id":"f","holding":{"name":"O=A, L=L, C=GB","group_id":"g"},"cpi_checksum":'
        b'"c","flow_class":"F","request_id":"r","body":null,"responds_to":null,"created_at":1,'
        b'"stack":[{"flow":"F","protocol":"p","versions":[],"sessions":[],"context":{}}],"sessions"'
        b':{"s":{"id":"s","initiator":true,"me":{"name":"O=A, L=L, C=GB","group_id":"g"},"peer":'
        b'{"name":"O=B, L=P, C=FR","group_id":"g"},"protocol":"p","versions":[1],"version":null,'
        b'"require_close":true,"context":{},"timeout_ms":5,"last_heard":1,"status":"CREATED",'
        b'"sent":0,"received":0,"inbox":[],"early":[],"peer_closed":false,"failure":null}},'
        b'"calls":1,"waiting":{"call":1,"function":"flow.sleep","digest":"d","condition":'
        b'{"type":"asleep","until":9}},"ending":null,"timer":null}'
    )
    assert decode_checkpoint(stored) == checkpoint
    newest = stored.replace(b'{"v":1', b'{"v":5').removesuffix(b"}")
    newest = newest.replace(
        b'"failure":null', b'"failure":null,"partial":[],"payload_max":16777216,"platform":{}'
    )
    newest = newest.replace(b'"until":9}', b'"until":9},"since":0') + b',"idle_at":null,"notes":[]'
    newest += b',"body_bytes":0,"program":null,"lent":[],"gone":{},"gone_count":0,"cleanups":[]}'
    assert encode(checkpoint) == newest
    assert decode_checkpoint(newest) == checkpoint


def test_rows_of_programs_of_version_1() -> None:
    rows = begin(
        FlowId("f"), 3, ProgramId(name="finality", revision=1), '{"op":"finalize"}', EpochMs(5)
    )
    rows.add("now", '"2026"', digest="ab", at=EpochMs(6))
    stored = [
        b'[1,0,"begin","",false,"{\\"name\\":\\"finality\\",\\"revision\\":1,\\"request\\":'
        b'\\"{\\\\\\"op\\\\\\":\\\\\\"finalize\\\\\\"}\\"}",5]',
        b'[1,1,"now","ab",false,"\\"2026\\"",6]',
    ]
    assert [encode_row(row) for row in rows] == stored
    read = decode_rows(FlowId("f/3"), stored)
    assert (read, read.program.name, read.request) == (rows, "finality", {"op": "finalize"})
    for damaged in ([], stored[1:], [stored[0], stored[0]], [stored[0][:-3]]):
        with pytest.raises(FlowRecordDamagedError):
            decode_rows(FlowId("f/3"), damaged)
    with pytest.raises(FlowRecordDamagedError, match="is no beginning"):
        decode_rows(FlowId("f/3"), [stored[1].replace(b"[1,1", b"[1,0")])


def test_statuses_of_version_1() -> None:
    written = StoredStatus(
        holding=ShortHash("AB"), request_id="r", flow_id=None, flow_class="F",
        status=FlowStatusName.START_REQUESTED, updated_at=EpochMs(1), assigned=FlowId("f"),
    )  # fmt: skip
    stored = (
        b'{"v":1,"holding":"AB","request_id":"r","flow_id":null,"flow_class":"F","status":'
        b'"START_REQUESTED","result":null,"error_type":null,"error_code":null,"error_message":null,'
        b'"error_trace":[],"updated_at":1,"history":null,"received":{}}'
    )
    assert decode_status(_status_record(stored)) == replace(written, v=1, assigned=None)
    write = write_status(None, written)
    assert write is not None
    assert write.value is not None
    assert write.value == stored.replace(b'"v":1', b'"v":3').replace(
        b'"history":null', b'"history":null,"assigned":"f"'
    ).replace(b'"result":null', b'"result":null,"result_is_json":null')
    assert decode_status(_status_record(write.value)) == written
    with pytest.raises(FlowRecordDamagedError, match="format 4, expected 1 or 2 or 3"):
        decode_status(_status_record(stored.replace(b'"v":1', b'"v":4')))


def _status_record(value: bytes) -> StateRecord:
    return StateRecord(key="status/AB/r", version=1, value=value)


def test_a_result_may_be_left_unread() -> None:
    """Lists send the JSON string that is stored: megabytes are neither decoded nor encoded."""
    result = '\u00e9\\"\n\x01 \U0001f600 text'
    ended = StoredStatus(
        holding=ShortHash("AB"), request_id="r", flow_id=FlowId("f"), flow_class="F",
        status=FlowStatusName.COMPLETED, updated_at=EpochMs(1), result=result,
    )  # fmt: skip
    for status in (ended, replace(ended, result=None)):
        write = write_status(None, status)
        assert write is not None
        assert write.value is not None
        unread = read_unread(_status_record(write.value))
        assert unread.status.result is None
        assert bytes(unread.result) in write.value
        assert json.loads(bytes(unread.result)) == status.result
        assert unread.result_is_json is None
        assert read_status(_status_record(write.value)).flow_id == unread.status.flow_id
    with pytest.raises(FlowRecordDamagedError, match="cannot be read"):
        read_unread(_status_record(b"{"))
