"""What the REST tests share: users on a real database, and a whole host without its server."""

import hashlib
import io
import logging
import os
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
import structlog
from starlette.testclient import TestClient

from cpi.package.group_policy_generation import generate_static_policy
from cpi.package.model import PackageId
from host.access import RBAC_SCHEMA, Users
from host.access.permissions import ALLOW_ALL
from host.adapters.files.cpi_files import CpiFolder
from host.adapters.os.system import SystemEntropy
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.ids import short_hash_of
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkRecord,
    FlowDeclaration,
    FlowKind,
)
from host.nodes.packages.catalogue import PackageCatalogue
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from tests.support import hosts
from tests.support.hosts import running_host

PASSWORD = "secret"
BODY_MAX = 100_000
GROUP_ID = "6b3c2d6e-1c22-4d6e-9d3c-222222222222"
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
SIGNER = "SHA-256:" + "AB" * 32


@pytest.fixture(autouse=True)
def _quiet_log():
    """Keeps log lines of background threads out of the test report, and settings from leaking."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(io.StringIO()),
        cache_logger_on_first_use=False,
    )
    yield
    root.handlers[:], root.level = before


@pytest.fixture
def clock():
    return SimClock()


@pytest.fixture
def entropy():
    return SystemEntropy()


@pytest.fixture
def cluster_database(tmp_path):
    with Database.open(tmp_path / "cluster.sqlite", [RBAC_SCHEMA]) as database:
        yield database


@pytest.fixture
def users(cluster_database, clock, entropy):
    return Users(cluster_database, clock=clock, entropy=entropy)


def _flow(name, kind=FlowKind.CLIENT_STARTABLE, schema=None):
    return FlowDeclaration(
        name=name,
        kind=kind,
        protocol=None,
        versions=(),
        initiating=False,
        input_schema=schema,
        output_schema=None,
    )


GREET_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}


def _stored_cpi(data_dir, *, version="1.0.0", **of_cpk):
    """Put a CPI into a data directory's catalogue; its code is missing, so its flows fail.

    Another version has other facts of its CPK.
    """
    data = b"a CPI whose code is not there" + version.removeprefix("1.0.0").encode()
    cpk = CpkRecord(
        identity=PackageId(name="demo.workflows", version=version, signer_summary_hash=SIGNER),
        file_checksum="SHA-256:" + "CD" * 32,
        world=CodeWorld.WORKFLOW,
        code_digest="SHA-256:" + "EF" * 32,
        flows=(
            _flow("demo.Greet", schema=GREET_SCHEMA),
            _flow("demo.Any"),
            _flow("demo.Answer", FlowKind.RESPONDER),
        ),
        contract_types=(),
        state_types=(),
        entities=(),
        capabilities=("flow", "log"),
        libraries=("lib.py",),
        limits={},
    )
    cpk = replace(cpk, **of_cpk)
    record = CpiRecord(
        identity=PackageId(name="demo", version=version, signer_summary_hash=SIGNER),
        file_checksum="SHA-256:" + hashlib.sha256(data).hexdigest().upper(),
        group_id=GROUP_ID,
        group_policy=generate_static_policy(
            names=[ALICE, BOB],
            group_id=GROUP_ID,
            endpoint_url="https://localhost:1080",
            endpoint_protocol=1,
        ),
        cpks=(cpk,),
        stored_at=1_790_000_000_000 + 86_400_000 * (version != "1.0.0"),
    )
    with Database.open(data_dir / "cluster.sqlite", CLUSTER_SCHEMAS) as database:
        # A package without the other store would be taken for a loss.
        SqliteStore(data_dir / "flows.sqlite").close()
        catalogue = PackageCatalogue(database=database, files=CpiFolder(data_dir / "packages"))
        catalogue.store(record, data, replaces=None)
    return record


@contextmanager
def _host_on(data_dir, **changes):
    """A composed host on `data_dir`, without a server."""
    settings = {
        "cache_dir": data_dir / "cache",
        "rest_max_content_length": BODY_MAX,
        "flow_workers": 1,
        "isolation": os.environ.get("CORDBOX_ISOLATION", "shared"),
        "restored_instances": os.environ.get("CORDBOX_RESTORED_INSTANCES", "true") != "false",
        **changes,
    }
    with running_host(data_dir, password=PASSWORD, **settings) as host:
        yield host


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("rest") / "data"


@pytest.fixture(scope="module")
def cpi(data_dir):
    """A stored CPI with the flows `demo.Greet` and `demo.Any`."""
    return _stored_cpi(data_dir)


WIDER = {
    "version": "1.1.0",
    "code_digest": "SHA-256:" + "0E" * 32,
    "capabilities": ("external-messaging", "flow", "log", "sessions"),
    "limits": {"fuelMax": 1_000_000},
    "flows": (_flow("demo.Greet", schema=GREET_SCHEMA), _flow("demo.Any"), _flow("demo.Send")),
    "libraries": (),
}
"""A version whose code may do more in some ways, and less in others."""


@pytest.fixture(scope="module")
def host(data_dir, cpi):
    with _host_on(data_dir) as running:
        yield running


@pytest.fixture
def services(host):
    return host.services


@contextmanager
def _client_of(host, auth=("admin", PASSWORD)):
    client = TestClient(host.asgi, raise_server_exceptions=False, follow_redirects=False)
    client.auth = auth
    with client:
        yield client


@pytest.fixture
def api(host):
    """A client of the REST application that is logged in as `admin`."""
    with _client_of(host) as client:
        yield client


@pytest.fixture
def somebody(services):
    """Login name and password of a user that only one test uses."""
    login_name = f"user-{os.urandom(4).hex()}"
    services.users.create(login_name, "first", full_name="Some Body", permissions=(ALLOW_ALL,))
    return login_name, "first"


@pytest.fixture
def poll_with():
    """Polls a path with a client until the predicate holds for its JSON."""
    return hosts.polled


@pytest.fixture
def polled(api):
    """Polls a path until the predicate holds for its JSON."""
    return partial(hosts.polled, api)


@pytest.fixture
def node_of(api, cpi, polled):
    """Creates a virtual node of the stored CPI and gives its short hash."""

    def create(x500_name):
        body = {
            "request": {"cpiFileChecksum": short_hash_of(cpi.file_checksum), "x500Name": x500_name}
        }
        reply = api.post("/api/v5_2/virtualnode", json=body)
        assert reply.status_code == 202, reply.text
        request_id = reply.json()["requestId"]
        status = polled(
            f"/api/v5_2/virtualnode/status/{request_id}",
            lambda s: s["status"] not in ("ACCEPTED", "IN_PROGRESS"),
        )
        assert status["status"] == "SUCCEEDED", status
        return status["resourceId"]

    return create


@pytest.fixture
def alice(api, node_of):
    """Short hash of the virtual node Alice, made once for a module."""
    for node in api.get("/api/v5_2/virtualnode").json()["virtualNodes"]:
        if node["holdingIdentity"]["x500Name"] == ALICE:
            return node["holdingIdentity"]["shortHash"]
    return node_of(ALICE)


@pytest.fixture
def host_on():
    """Composes a host on a data directory, with changed settings."""
    return _host_on


@pytest.fixture
def client_of():
    """Gives a client of a composed host."""
    return _client_of


@pytest.fixture
def stored_cpi():
    """Puts a CPI into the catalogue of a data directory."""
    return _stored_cpi
