"""Forms of uploads, letter case as Corda takes it, and names that clients remove from paths."""

import asyncio
import base64

import pytest

API = "/api/v5_2"


def refusal(reply):
    assert reply.status_code == 400, reply.text
    return reply.json()["details"]["code"], reply.json()["title"]


@pytest.mark.parametrize("path", ["/cpi", "/maintenance/virtualnode/forcecpiupload"])
def test_two_files_in_one_upload_are_refused(api, path):
    twice = [("upload", ("a.cpi", b"a")), ("upload", ("b.cpi", b"b"))]
    code, title = refusal(api.post(f"{API}{path}", files=twice))
    assert code == "form-part-invalid"
    assert "'upload' is there 2 times" in title
    beside = [("upload", ("a.cpi", b"a")), ("other", ("b.cpi", b"b"))]
    code, title = refusal(api.post(f"{API}{path}", files=beside))
    assert code == "form-part-invalid"
    assert "'other' is a file that is not expected; expected upload" in title


def test_a_part_without_a_file_name_is_refused_with_a_remedy(api):
    parts = {"upload": (None, b"content")}
    code, title = refusal(api.post(f"{API}/cpi", files=parts))
    assert code == "form-part-invalid"
    assert (
        title == "Form part 'upload' has no file name: expected a file, with curl -F upload=@FILE."
    )


def test_text_parts_that_nobody_expects_are_ignored_as_in_corda(api):
    parts = [("upload", ("a.cpi", b"no package")), ("comment", (None, b"x"))]
    assert refusal(api.post(f"{API}/cpi", files=parts))[0] == "package-upload-refused"


def test_the_alias_of_a_certificate_is_one_text(api):
    path, pem = f"{API}/certificate/cluster/code-signer", ("c.pem", b"x")
    twice = [("certificate", pem), ("alias", (None, b"a")), ("alias", (None, b"b"))]
    assert "'alias' is there 2 times" in refusal(api.put(path, files=twice))[1]
    as_file = [("certificate", pem), ("alias", ("a.txt", b"a"))]
    assert "'alias' is a file, expected text" in refusal(api.put(path, files=as_file))[1]
    without = [("certificate", pem)]
    assert "'alias' is missing: expected text" in refusal(api.put(path, files=without))[1]
    dots = [("certificate", pem), ("alias", (None, b" .. "))]
    assert "which clients remove from paths" in refusal(api.put(path, files=dots))[1]


def test_several_certificates_are_several_parts_of_one_name(api):
    path = f"{API}/certificate/cluster/code-signer"
    parts = [
        ("certificate", ("a.pem", b"x")),
        ("certificate", ("b.pem", b"y")),
        ("alias", (None, b"a")),
    ]
    assert refusal(api.put(path, files=parts))[0] == "certificate-refused"


@pytest.mark.parametrize("usage", ["Code-Signer", "CODE-SIGNER", "%20code-signer%20"])
def test_the_usage_of_a_certificate_is_taken_in_any_letter_case(api, usage):
    assert api.get(f"{API}/certificate/cluster/{usage}").json() == []
    assert api.get(f"{API}/certificate/cluster/{usage}s").status_code == 400


@pytest.mark.parametrize("text", [".", ".."])
def test_a_key_and_a_flow_are_not_named_by_dots_alone(api, alice, text):
    escaped = text.replace(".", "%2E")
    api.post(f"{API}/hsm/soft/{alice}/LEDGER")
    path = f"{API}/key/{alice}/alias/{escaped}/category/LEDGER/scheme/CORDA.ECDSA.SECP256R1"
    assert refusal(api.post(path))[0] == "key-alias-invalid"
    start = {"clientRequestId": text, "flowClassName": "test.Flow", "requestBody": {}}
    assert refusal(api.post(f"{API}/flow/{alice}", json=start))[0] == "client-request-id-invalid"


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "/cpi", "multipart/form-data; boundary=x"),
        ("PUT", "/certificate/cluster/code-signer", "multipart/form-data; boundary=x"),
        ("POST", "/virtualnode", "application/json"),
    ],
)
def test_a_client_that_leaves_in_its_body_is_no_error_of_the_host(host, method, path, content_type):
    """Each upload that was given up, or stopped since it was too slow, logged a traceback."""
    password = base64.b64encode(b"admin:secret").decode()
    headers = {"authorization": f"Basic {password}", "content-type": content_type, "host": "h"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": f"{API}{path}",
        "raw_path": f"{API}{path}".encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("h", 443),
        "extensions": {},
    }
    arriving = [
        {"type": "http.request", "body": b"--x\r\n", "more_body": True},
        {"type": "http.disconnect"},
    ]
    statuses = []

    async def receive():
        return arriving.pop(0) if len(arriving) > 1 else arriving[0]

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(host.asgi(scope, receive, send))
    assert statuses == [408]
