"""Traces of a whole host, sent by OTLP over HTTP to a receiver that decodes them."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from prometheus_client import generate_latest

from host.adapters.os.system import SystemEntropy
from host.domain.flow import FlowStatusName
from host.flow.core.trace_context import span_id
from host.ports.tracing import MessageSpan, RequestSpan, StepSpan
from host.settings import SettingsInvalidError
from host.settings.secret_box import SecretBox
from plugins.otel.exporter import batches
from plugins.otel.settings import OtelSettings
from plugins.otel.tracer import OtelTracer
from tests.rest.conftest import _host_on

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
SECRET = "a body that is nobody else's"


class Collector:
    """Spans that arrived, by their names."""

    def __init__(self):
        self.spans, self.headers, self.bytes = [], [], b""
        self._changed = threading.Condition()

    def take(self, headers, body):
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.headers.append(headers)
            self.bytes += body
            for resource in request.resource_spans:
                (name,) = [
                    a.value.string_value
                    for a in resource.resource.attributes
                    if a.key == "service.name"
                ]
                for scope in resource.scope_spans:
                    self.spans += [(name, span) for span in scope.spans]
            self._changed.notify_all()

    def wait(self, name, count=1, trace=None):
        """The spans of this name, as soon as there are so many."""

        def found():
            return [
                span
                for _, span in self.spans
                if span.name == name and trace in {None, span.trace_id.hex()}
            ]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, 30), [
                s.name for _, s in self.spans
            ]
            return found()


@pytest.fixture(scope="module")
def collector():
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            made.take(dict(self.headers), self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def host(data_dir, cpi, collector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("otel")
    (folder / "passphrase").write_text("pass\n")
    (folder / "salt").write_text("salt\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plugins.otel.exporter._DELAY_MS", 20)
        with _host_on(
            data_dir,
            plugins=("embedded", "otel"),
            otel_endpoint=collector.url,
            secrets_passphrase_file=folder / "passphrase",
            secrets_salt_file=folder / "salt",
            otel_exporter_authorization=_sealed("Bearer collector"),
        ) as running:
            yield running


def _sealed(text):
    secret = SecretBox("pass", "salt").sealed(text, SystemEntropy())
    return {"configSecret": {"encryptedSecret": secret.config_secret.encrypted_secret}}


def start(api, alice, request_id, **headers):
    body = {"clientRequestId": request_id, "flowClassName": "demo.Any", "requestBody": SECRET}
    answer = api.post(f"/api/v5_3/flow/{alice}", json=body, headers=headers)
    assert answer.status_code == 202, answer.text


def attributes(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_request_its_flow_and_its_steps_are_one_trace_of_the_client(api, alice, collector):
    start(api, alice, "traced", traceparent=TRACEPARENT)
    (flow,) = collector.wait("demo.Any", trace=TRACE)
    (request,) = collector.wait("POST /flow/{holdingidentityshorthash}", trace=TRACE)
    steps = collector.wait("step", trace=TRACE)
    assert request.parent_span_id.hex() == SPAN
    assert flow.parent_span_id == request.span_id
    assert {step.parent_span_id for step in steps} == {flow.span_id}
    assert attributes(request)["http.response.status_code"] == 202
    shown = attributes(flow)
    assert shown["cordbox.flow.status"] == "FAILED"
    assert (shown["cordbox.flow.request"], shown["cordbox.node"]) == ("traced", alice)
    assert flow.status.code == 2
    assert flow.start_time_unix_nano <= flow.end_time_unix_nano
    assert collector.spans[0][0] == "cordbox"
    assert SECRET.encode() not in collector.bytes
    assert b"secret" not in collector.bytes, "nor passwords"
    assert collector.headers[0]["authorization"] == "Bearer collector"


@pytest.mark.parametrize(
    "given", [{}, {"traceparent": "00-broken"}, {"traceparent": f"00-{'0' * 32}-{SPAN}-01"}]
)
def test_a_request_without_a_span_of_the_client_begins_a_trace(api, alice, collector, given):
    request_id = f"own-{len(str(given))}"
    start(api, alice, request_id, **given)

    def mine():
        return [
            s
            for s in collector.wait("demo.Any")
            if attributes(s)["cordbox.flow.request"] == request_id
        ]

    count = 1
    while not mine():
        count += 1
        collector.wait("demo.Any", count)
    (flow,) = mine()
    (request,) = collector.wait("POST /flow/{holdingidentityshorthash}", trace=flow.trace_id.hex())
    assert request.parent_span_id == b""
    assert flow.parent_span_id == request.span_id


def test_routes_are_named_without_their_parameters_and_health_is_left_out(api, collector):
    api.get("/isHealthy")
    api.get("/metrics")
    api.get(f"/api/v5_3/virtualnode/{'0' * 12}", headers={"traceparent": TRACEPARENT})
    api.get("/api/v5_3/no/such/path/of-a-stranger")
    collector.wait("GET /virtualnode/{holdingidentityshorthash}", trace=TRACE)
    collector.wait("GET other")
    assert b"of-a-stranger" not in collector.bytes
    assert {span.name for _, span in collector.spans if "ealthy" in span.name} == set()


def test_hosts_without_the_plugin_trace_nothing(data_dir, tmp_path, cpi):
    with _host_on(tmp_path / "data") as running:
        names = [m.cls.__name__ for m in running.asgi.user_middleware]
        assert "RequestTraces" not in names
        assert generate_latest(running.registry)


class Kept:
    def __init__(self):
        self.spans: list[ReadableSpan] = []

    def on_end(self, span):
        self.spans.append(span)

    def shutdown(self):
        pass


def step(**changed):
    usual = {
        "trace": TRACE,
        "flow": SPAN,
        "parent": "",
        "flow_id": "f",
        "flow_class": "F",
        "holding_id": "AB",
        "request_id": "r",
        "flow_begun": 1,
        "number": 2,
        "begun": 5,
        "ended": 9,
        "messages": (),
        "ended_as": None,
    }
    return StepSpan(**{**usual, **changed})


def test_messages_of_both_sides_hang_on_the_senders_span():
    kept = Kept()
    tracer = OtelTracer(kept, "x", lambda: 100)
    span = span_id("message", "s", "1")
    message = {"span": span, "kind": "data", "session_id": "s", "sequence": 1, "peer": "CD"}
    tracer.step(step(messages=(MessageSpan(is_sent=True, **message),)))
    tracer.step(step(flow_id="g", messages=(MessageSpan(is_sent=False, **message),)))
    sent, _, taken, taking = kept.spans
    assert f"{sent.context.span_id:016x}" == span
    assert taken.parent.span_id == sent.context.span_id
    assert taken.links[0].context == taking.context
    assert [each.name for each in kept.spans] == ["send data", "step", "receive data", "step"]


def test_a_part_of_the_traces_is_kept_by_their_ids_alone():
    kept = {percent: Kept() for percent in (0, 50, 100)}
    for percent, processor in kept.items():
        tracer = OtelTracer(processor, "x", lambda percent=percent: percent)
        for number in range(64):
            tracer.step(step(trace=f"{number << 50 | 1:032x}"))
    assert [len(each.spans) for each in kept.values()] == [0, 32, 64]


def test_long_names_of_guests_are_cut_and_requests_without_an_answer_are_errors():
    kept = Kept()
    tracer = OtelTracer(kept, "x", lambda: 100)
    tracer.step(step(flow_class="F" * 9999, ended_as=FlowStatusName.COMPLETED))
    assert {len(each.name) for each in kept.spans} == {4, 256}
    request = {"trace": TRACE, "span": SPAN, "parent": "", "method": "GET", "route": "/x"}
    tracer.request(RequestSpan(**request, request_id="r", status=0, begun=1, ended=2))
    assert not kept.spans[-1].status.is_ok


def test_a_collector_that_is_away_costs_spans_and_no_time():
    tracer = OtelTracer(
        batches(OtelSettings(otel_endpoint="http://127.0.0.1:1/v1/traces"), None, queue_max=64),
        "x",
        lambda: 100,
    )
    for number in range(10_000):
        tracer.step(step(number=number))
    assert len(tracer._processor._batch_processor._queue) <= 64
    tracer.close()


def test_settings_without_effect_are_refused(tmp_path):
    with pytest.raises(SettingsInvalidError, match="no https URL"):
        OtelSettings(otel_endpoint="http://a/v1/traces", otel_ca_file=tmp_path)
