"""The hello CorDapp over REST, from a refused upload to a flow's result, in the real sandbox."""

import io
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from sandbox.runtime import Sandbox
from tests.support.keystores import make_key

HELLO = Path(__file__).parents[2] / "sample_cordapps" / "hello"
ALICE = "O=Alice, L=London, C=GB"
API = "/api/v5_2"
FLOW = "hello_flows.Hello"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def signing_key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("key"), "me")


@pytest.fixture(scope="module")
def hello_cpi(tmp_path_factory, signing_key):
    """The bytes of a signed CPI of the hello sample."""
    sandbox = Sandbox(cache_dir=default_cache_dir())
    folder = tmp_path_factory.mktemp("hello")
    build_cordapp(HELLO, (signing_key,), folder, sandbox, lambda _step: None)
    (cpb,) = folder.glob("*.cpb")
    policy = generate_static_policy(
        names=[ALICE],
        group_id=None,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    return build_cpi(
        name="hello",
        version="1.0.0",
        cpb=(cpb.name, cpb.read_bytes()),
        group_policy=policy,
        keys=(signing_key,),
    )


def tampered(cpi):
    """The same archive with one byte of its group policy changed."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(cpi)) as before, zipfile.ZipFile(result, "w") as after:
        for entry in before.infolist():
            data = before.read(entry)
            if entry.filename.endswith("GroupPolicy.json"):
                data = data.replace(b"Alice", b"Alicf")
            after.writestr(entry, data)
    return result.getvalue()


def unsigned(cpi):
    """The same archive without its signature."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(cpi)) as before, zipfile.ZipFile(result, "w") as after:
        for entry in before.infolist():
            if not entry.filename.endswith((".SF", ".EC", ".RSA")):
                after.writestr(entry, before.read(entry))
    return result.getvalue()


def upload(client, cpi):
    return client.post(f"{API}/cpi", files={"upload": ("hello.cpi", cpi)})


def trust(client, key):
    pem = key.certificate_chain[0].public_bytes(Encoding.PEM)
    path = f"{API}/certificate/cluster/code-signer"
    assert client.put(path, data={"alias": "me"}, files={"certificate": pem}).status_code == 204


def test_what_nobody_vouches_for_is_refused_with_the_reason(
    tmp_path, host_on, client_of, hello_cpi, signing_key
):
    with host_on(tmp_path) as host, client_of(host) as client:
        reasons = [upload(client, hello_cpi)]
        trust(client, signing_key)
        reasons += [upload(client, change(hello_cpi)) for change in (tampered, unsigned)]
        for reply in reasons:
            assert reply.status_code == 400
            assert reply.json()["details"]["code"] == "package-upload-refused"
        assert len({reply.json()["details"]["check"] for reply in reasons}) == 3
        assert client.get(f"{API}/cpi").json() == {"cpis": []}
        assert list((tmp_path / "packages").iterdir()) == []


def test_a_cordapp_goes_from_its_upload_to_its_result(
    tmp_path, host_on, client_of, poll_with, hello_cpi, signing_key
):
    cache = {"cache_dir": default_cache_dir()}
    with host_on(tmp_path / "data", **cache) as host, client_of(host) as client:
        trust(client, signing_key)
        request_id = upload(client, hello_cpi).json()["id"]
        stored = poll_with(client, f"{API}/cpi/status/{request_id}", lambda s: s["status"] == "OK")
        assert upload(client, hello_cpi).status_code == 409
        body = {"cpiFileChecksum": stored["cpiFileChecksum"], "x500Name": ALICE}
        started = client.post(f"{API}/virtualnode", json={"request": body}).json()
        path = f"{API}/virtualnode/status/{started['requestId']}"
        node = poll_with(client, path, lambda s: s["status"] == "SUCCEEDED")["resourceId"]
        assert client.get(f"{API}/flowclass/{node}").json() == {"flowClassNames": [FLOW]}

        start = {"clientRequestId": "1", "flowClassName": FLOW, "requestBody": {"name": "world"}}
        assert client.post(f"{API}/flow/{node}", json={"startFlow": start}).status_code == 202
        path = f"{API}/flow/{node}/1"
        done = poll_with(client, path, lambda f: f["flowStatus"] == "COMPLETED")
        greeting = f"Hello world, this is {ALICE}"
        assert client.get(f"{path}/result").json()["json"] == {"greeting": greeting}
        assert done["flowError"] is None

        wrong = {**start, "clientRequestId": "2", "requestBody": {}}
        refused = client.post(f"{API}/flow/{node}", json=wrong)
        assert (refused.status_code, refused.json()["details"]["path"]) == (400, "$.name")

        document = client.get(f"/nodes/{node}/openapi.json").json()
        operation = document["paths"][f"/flows/{FLOW}"]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["required"] == ["name"]
        typed = client.post(f"/nodes/{node}/flows/{FLOW}?clientRequestId=3", json={"name": "you"})
        assert typed.status_code == 202
        done = poll_with(client, f"{API}/flow/{node}/3", lambda f: f["flowStatus"] == "COMPLETED")
        assert "Hello you" in done["flowResult"]
