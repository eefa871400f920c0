"""Lists come in pages, newest first; a page that is not the last says so; no answer fills memory."""

import base64
import json
import tracemalloc

import anyio
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.domain.flow import FlowStatusName
from host.domain.guest_text import is_json
from host.domain.ids import EpochMs, ShortHash
from host.domain.paging import Cursor, CursorInvalidError, parse_cursor
from host.flow.core.statuses import StoredStatus, write_status
from host.ports.units import Unit
from tests.support.keystores import make_key

MIB = 1024 * 1024
REGISTRATION = {"context": {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}}
BOB = "O=Bob, L=London, C=GB"


def status_write(node, request_id, *, at, status="COMPLETED", responder=False, **changes):
    stored = StoredStatus(
        holding=ShortHash(node),
        request_id=request_id,
        flow_id="f",
        flow_class="demo.Any",
        status=FlowStatusName(status),
        updated_at=EpochMs(at),
        **changes,
    )
    return write_status(None, stored, responder=responder, retention_ms=10**14)


@pytest.fixture
def bob(api, node_of, services):
    """A node with 250 flows and a responder; each tenth flow failed."""
    for node in api.get("/api/v5_2/virtualnode").json()["virtualNodes"]:
        if node["holdingIdentity"]["x500Name"] == BOB:
            return node["holdingIdentity"]["shortHash"]
    node = node_of(BOB)
    writes = [status_write(node, "answered", at=300, responder=True)]
    for number in range(250):
        if number % 10:
            writes.append(status_write(node, f"r{number:03}", at=number // 2, result='{"a":1}'))
        else:
            error = {"error_type": "X", "error_message": "because"}
            writes.append(
                status_write(node, f"r{number:03}", at=number // 2, status="FAILED", **error)
            )
    services.flows._store.commit(Unit(states=tuple(writes)))
    return node


def ids(reply):
    assert reply.status_code == 200, reply.text
    return [flow["clientRequestId"] for flow in reply.json()["flowStatusResponses"]]


def test_a_client_without_parameters_gets_a_first_page_that_says_so(api, bob):
    reply = api.get(f"/api/v5_2/flow/{bob}")
    assert ids(reply) == [f"r{n:03}" for n in range(249, 149, -1)]
    assert reply.headers["cordbox-next"]
    assert reply.headers["link"] == f'<?after={reply.headers["cordbox-next"]}>; rel="next"'


def test_pages_lead_through_the_whole_list(api, bob):
    seen, link, pages = [], "?limit=60&status=COMPLETED", 0
    while link:
        reply = api.get(f"/api/v5_2/flow/{bob}{link}")
        seen += ids(reply)
        pages += 1
        link = reply.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert seen == [f"r{n:03}" for n in range(249, -1, -1) if n % 10]
    assert pages == 4
    last = api.get(f"/api/v5_2/flow/{bob}?status=FAILED&limit=25")
    assert len(ids(last)) == 25
    assert "cordbox-next" not in last.headers


def test_lists_have_errors_and_results_only_when_asked(api, bob):
    path = f"/api/v5_2/flow/{bob}?limit=10"
    without = api.get(path).json()["flowStatusResponses"]
    assert {flow["flowResult"] for flow in without} == {None}
    assert [flow["flowError"] for flow in without if flow["flowStatus"] == "FAILED"] == [
        {"type": "X", "code": "X", "message": "because"}
    ]
    with_results = api.get(f"{path}&results=true").json()["flowStatusResponses"]
    assert [f["flowResult"] for f in with_results] == [
        None if f["flowStatus"] == "FAILED" else '{"a":1}' for f in with_results
    ]
    for shown, whole in zip(without, with_results, strict=True):
        assert {**whole, "flowResult": None} == shown
        assert whole == api.get(f"/api/v5_2/flow/{bob}/{whole['clientRequestId']}").json()


def test_responders_stand_where_they_began(api, bob):
    assert ids(api.get(f"/api/v5_2/flow/{bob}?responders=1&limit=2")) == ["answered", "r249"]


def test_states_are_asked_for_in_any_letter_case(api, bob):
    assert len(ids(api.get(f"/api/v5_2/flow/{bob}?status=failed&limit=3"))) == 3


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", ""])
def test_a_limit_has_limits(api, bob, limit):
    reply = api.get(f"/api/v5_2/flow/{bob}?limit={limit}")
    assert (reply.status_code, reply.json()["details"]["fields"]) == (400, "limit")


@pytest.mark.parametrize(
    "path",
    ["/flow/{}", "/virtualnode", "/cpi", "/membership/{}", "/members/{}", "/deadletter"],
)
def test_every_list_refuses_what_is_no_cursor_of_it(api, bob, path):
    foreign = Cursor(order="something", last=(1, "a"), snapshot=EpochMs(1)).encoded()
    deep = base64.urlsafe_b64encode(b"[" * 900).decode()
    for cursor in (foreign, "x", "", "A" * 2000, deep):
        reply = api.get(f"/api/v5_2{path.format(bob)}?after={cursor}")
        assert (reply.status_code, reply.json()["details"]["code"]) == (400, "cursor-invalid")
    assert api.get(f"/api/v5_2{path.format(bob)}?after={'A' * 2049}").status_code == 400


@pytest.mark.parametrize(
    "text",
    [
        r'["flows of NODE",1,"\ud800",1]',
        r'["flows of NODE",1,"\u0000",1]',
        '["flows of NODE",1,"a",1,1]',
        '["flows of NODE",true,"a",1]',
        '["flows of NODE",1e999,"a",1]',
        '["flows of ANOTHER",1,"a",1]',
        '["flows",1,"a",1]',
        '{"a":1,"b":2,"c":3,"d":4}',
        '"abcd"',
    ],
)
def test_a_cursor_that_no_host_wrote_is_refused(api, bob, text):
    cursor = base64.urlsafe_b64encode(text.replace("NODE", bob).encode()).decode()
    reply = api.get(f"/api/v5_2/flow/{bob}?after={cursor}")
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "cursor-invalid")


@pytest.mark.parametrize(
    ("path", "member"),
    [("/virtualnode", "virtualNodes"), ("/members/{}", "members"), ("/membership/{}", None)],
)
def test_other_lists_have_pages_too(api, bob, alice, path, member):
    for _ in range(2):
        api.post(f"/api/v5_2/membership/{bob}", json=REGISTRATION)
        api.post(f"/api/v5_2/membership/{alice}", json=REGISTRATION)
    url = f"/api/v5_2{path.format(bob)}"

    def items(reply):
        return reply.json() if member is None else reply.json()[member]

    whole = items(api.get(url))
    assert len(whole) > 1
    seen, after = [], ""
    while after is not None:
        reply = api.get(f"{url}?limit=1{after}")
        seen += items(reply)
        cursor = reply.headers.get("cordbox-next")
        after = None if cursor is None else f"&after={cursor}"
    assert seen == whole


def test_keys_are_paged_by_cordas_own_keys_and_say_so(api, alice):
    key = f"/api/v5_2/key/{alice}"
    api.post(f"/api/v5_2/hsm/soft/{alice}/CI")
    for number in range(3):
        path = f"{key}/alias/page-{number}/category/CI/scheme/CORDA.ECDSA.SECP256R1"
        assert api.post(path).status_code == 200
    reply = api.get(f"{key}?take=2&category=ci&orderby=alias")
    assert [k["alias"] for k in reply.json().values()] == ["page-0", "page-1"]
    link = reply.headers["link"].partition(">")[0].removeprefix("<")
    last = api.get(f"{key}{link}")
    assert [k["alias"] for k in last.json().values()] == ["page-2"]
    assert "link" not in last.headers


STORED = st.characters(codec="utf-8", exclude_characters="\0")


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(STORED, max_size=50), st.integers(-(2**62), 2**62), st.text(STORED, max_size=300))
def test_a_cursor_is_read_as_it_was_written(order, number, key):
    cursor = Cursor(order=order, last=(number, key), snapshot=EpochMs(5))
    assert parse_cursor(cursor.encoded(), order) == cursor
    with pytest.raises(CursorInvalidError):
        parse_cursor(cursor.encoded(), order + "x")


@given(st.one_of(st.text(), st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode())))
def test_what_is_no_cursor_is_refused_with_its_code(text):
    with pytest.raises(CursorInvalidError):
        parse_cursor(text, "flows")


class Sink:
    """A client that throws its answer away: what stays in memory is the host's."""

    def __init__(self, asgi, auth=("admin", "secret")):
        self._asgi = asgi
        self._auth = base64.b64encode(":".join(auth).encode())
        self.bytes = 0
        self.chunk_max = 0
        self.status = None

    def get(self, path, query=""):
        return self.ask("GET", path, query, (b"",))

    def ask(self, method, path, query, body, headers=()):
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Basic " + self._auth), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 443),
        }
        chunks = iter(body)

        async def receive():
            chunk = next(chunks, None)
            if chunk is None:
                await anyio.sleep_forever()
            return {"type": "http.request", "body": chunk, "more_body": chunk != b""}

        async def send(message):
            self.status = message.get("status", self.status)
            body = message.get("body", b"")
            self.bytes += len(body)
            self.chunk_max = max(self.chunk_max, len(body))

        anyio.run(self._asgi, scope, receive, send)
        return self


@pytest.fixture
def traced_peak():
    """Bytes that a call holds more, at its worst, than there were before."""

    def measure(call):
        call()  # what is made once and kept is no request's
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            call()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    return measure


LARGE = '"' + "\\u0001" * 690_000 + '"'


@pytest.fixture
def large(api, bob, node_of, services):
    """A node with a hundred flows whose results have 4 MiB each."""
    name = "O=Carol, L=London, C=GB"
    node = node_of(name)
    for number in range(100):
        write = status_write(node, f"large-{number}", at=number, result=LARGE)
        services.flows._store.commit(Unit(states=(write,)))
    return node


@pytest.mark.slow
def test_no_answer_makes_the_host_hold_more_than_64_mib(host, large, traced_peak):
    path = f"/api/v5_2/flow/{large}"

    def ask(query, least, path=path):
        def call():
            sink = Sink(host.asgi).get(path, query)
            assert sink.status == 200
            assert least * MIB < sink.bytes
            assert sink.chunk_max <= 64 * 1024 + 4096

        return traced_peak(call)

    assert ask("", 0) < 4 * MIB
    assert ask("results=true", 400) < 64 * MIB
    assert ask("", 4, f"{path}/large-1") < 64 * MIB
    assert ask("", 3, f"{path}/large-1/result") < 64 * MIB


HOSTILE_RESULTS = {
    "deep": "[" * 900 + "]" * 900,
    "twice": '{"a":1,"a":2}',
    "infinite": "[1e999]",
    "nan": "[NaN]",
    "half": '["\\ud800"]',
    "long-number": "1" * 5000,
    "text": "no JSON",
    "empty": "",
    "many": "[" + "[]," * 1_300_000 + "[]]",
    "wide": '"' + "x" * 4_000_000 + '\U0001f600"',
    "values": "[" + ",".join(f'"{n:x}"' for n in range(400_000)) + "]",
    "control": "\x01" * 1_000_000,
}


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("name", HOSTILE_RESULTS)
def test_no_result_that_is_stored_makes_its_answer_fail_or_fill_memory(
    host, api, bob, services, traced_peak, monkeypatch, name, is_old
):
    """Statuses of earlier releases do not tell whether their result is JSON; others do."""
    text, request_id = HOSTILE_RESULTS[name], f"hostile-{name}-{is_old}"
    known = None if is_old else is_json(text)
    write = status_write(bob, request_id, at=0, result=text, result_is_json=known)
    services.flows._store.commit(Unit(states=(write,)))
    path = f"/api/v5_2/flow/{bob}/{request_id}/result"
    if not is_old:
        monkeypatch.setattr("host.rest.json_body.checked_json", None)  # it is not parsed again
    reply = api.get(path)
    assert reply.status_code == 200
    found = json.loads(reply.content)["json"]
    assert found == (json.loads(text) if name in ("wide", "values") else text)
    assert traced_peak(lambda: Sink(host.asgi).get(path)) < 64 * MIB


def test_a_result_is_the_json_that_the_flow_wrote(api, bob, services):
    text = '{"b": 1.50, "a": [1E2, 12345678901234567890123], "ü": null}'
    services.flows._store.commit(Unit(states=(status_write(bob, "as-written", at=0, result=text),)))
    assert text in api.get(f"/api/v5_2/flow/{bob}/as-written/result").text


PART = (
    b'--boundary\r\nContent-Disposition: form-data; name="%b"; filename="x"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)


def form(field, mebibytes):
    """A form with one large file, made while it is sent."""
    yield b'--boundary\r\nContent-Disposition: form-data; name="alias"\r\n\r\na\r\n'
    yield PART % field
    for _ in range(mebibytes * 16):
        yield bytes(64 * 1024)
    yield b"\r\n--boundary--\r\n"
    yield b""


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("POST", "/api/v5_2/cpi", b"upload"),
        ("POST", "/api/v5_2/maintenance/virtualnode/forcecpiupload", b"upload"),
        ("PUT", "/api/v5_2/certificate/cluster/code-signer", b"certificate"),
    ],
)
def test_an_upload_is_never_whole_in_memory(tmp_path, host_on, traced_peak, method, path, field):
    pem = make_key(tmp_path, "me").certificate_chain[0].public_bytes(Encoding.PEM)
    content_type = (b"content-type", b"multipart/form-data; boundary=boundary")
    with host_on(tmp_path / "data", rest_max_content_length=200_000_000) as host:
        host.services.certificates.import_certificate("code-signer", "trusted", pem)

        def call():
            sink = Sink(host.asgi).ask(method, path, "", form(field, 150), (content_type,))
            assert sink.status == 400

        assert traced_peak(call) < 64 * MIB


@pytest.mark.parametrize(
    "body",
    [
        b'{"password": "' + b"x" * 5_900_000 + "\U0001f600".encode() + b'"}',
        b'{"password": [' + b"[]," * 1_900_000 + b"[]]}",
        b'{"password": "' + b"\\u0001" * 950_000 + b'"}',
        b"[" * 6_000_000,
        b'{"password": ' + b"1" * 5_900_000 + b"}",
    ],
    ids=["wide", "many", "escaped", "deep", "number"],
)
def test_no_json_body_fills_memory(tmp_path, host_on, traced_peak, body):
    with host_on(tmp_path, rest_max_content_length=200_000_000) as host:

        def call():
            sink = Sink(host.asgi).ask("POST", "/api/v5_2/user/selfpassword", "", (body, b""))
            assert sink.status == 400

        peak = traced_peak(call)
    assert len(body) < peak < 64 * MIB


def test_a_package_is_given_out_in_pieces(host, cpi, api, alice, services):
    path = f"/api/v5_2/virtualnode/{alice}/cpi"
    assert api.get(path).content == b"".join(services.packages.chunks(cpi.file_checksum))
    assert api.get(path).headers["content-type"] == "application/octet-stream"
