"""Each operation is for those whose role allows it, and on the virtual node that it allows it on."""

import re
import uuid

import pytest

from host.access import Effect, Permission
from host.access.roles import NewPermission
from host.domain.ids import ShortHash
from host.rest.app import openapi_document
from tests.rest.openapi_documents import operations

PASSWORD = "first"
OWN, OTHERS = ShortHash("0123456789AB"), ShortHash("BA9876543210")
NODE_PARAMETERS = (
    "holdingidentityshorthash",
    "holdingidentityid",
    "virtualnodeshortid",
    "tenantid",
)
VALUES = {
    "loginname": "nobody-here",
    "category": "LEDGER",
    "hsmcategory": "LEDGER",
    "scheme": "CORDA.ECDSA.SECP256R1",
    "usage": "code-signer",
    "newstate": "MAINTENANCE",
    "transactionid": f"SHA-256D:{'0' * 64}",
    "subject": "O=Alice, L=London, C=GB",
}
"""Of parameters that are no identifiers: those are of nothing that exists."""
REFUSED = {401, 403}


NEWEST = set(operations(openapi_document("v5_3")))
OPERATIONS = sorted(NEWEST | set(operations(openapi_document("v5_2"))))
OF_NODES = [(m, p) for m, p in OPERATIONS if any(f"{{{name}}}" in p for name in NODE_PARAMETERS)]


def version_of(operation):
    return "v5_3" if operation in NEWEST else "v5_2"


def filled(path, node=OWN):
    def value(match):
        name = match[1]
        if name in NODE_PARAMETERS:
            return node
        anything = str(uuid.UUID(int=1)) if name in ("id", "roleid", "permissionid") else "nothing"
        return VALUES.get(name, OWN if "checksum" in name or name == "keyid" else anything)

    return re.sub(r"\{(\w+)\}", value, path)


@pytest.fixture
def cheap_passwords(monkeypatch):
    """Users whose passwords are hashed in no time: hundreds sign in."""
    monkeypatch.setattr("host.access.passwords._LOG2_N", 4)


@pytest.fixture
def user_with(services, cheap_passwords):
    """The credentials of a new user whose one role has one permission."""

    def make(pattern, node=None):
        login, role = (
            f"user-{uuid.uuid4().hex}",
            services.roles.create(f"role-{uuid.uuid4()}", group_visibility=None),
        )
        permission = Permission(effect=Effect.ALLOW, pattern=pattern, virtual_node=node)
        services.roles.create_permissions(
            [NewPermission(permission=permission)], role_ids=[role.id]
        )
        services.users.create(login, PASSWORD, full_name="")
        services.users.assign_role(login, role.id)
        return login, PASSWORD

    return make


def status(api, operation, credentials, node=OWN):
    method, path = operation
    answer = api.request(
        method, f"/api/{version_of(operation)}{filled(path, node)}", auth=credentials
    )
    if answer.status_code in REFUSED:
        assert answer.json()["details"]["code"] in ("not-authenticated", "forbidden")
    return answer.status_code


def is_open(operation):
    return operation[1].endswith("/getprotocolversion")


def test_nobody_and_those_with_another_role_are_refused(api, user_with):
    nearly = user_with("(GET|POST|PUT|DELETE):/api/v5_./nothing.*")
    for operation in OPERATIONS:
        assert status(api, operation, None) == 401, operation
        assert status(api, operation, nearly) == (200 if is_open(operation) else 403), operation


def test_a_role_for_one_operation_allows_that_one_alone(api, user_with):
    closed = [operation for operation in OPERATIONS if not is_open(operation)]
    for operation, next_one in zip(closed, closed[1:] + closed[:1], strict=True):
        path = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation[1]))
        right = user_with(f"{operation[0]}:/api/{version_of(operation)}{path}")
        assert status(api, operation, right) not in REFUSED, operation
        assert status(api, next_one, right) == 403, (operation, next_one)


def test_a_role_for_a_virtual_node_ends_there(api, user_with):
    own = user_with(".*", OWN)
    for operation in OPERATIONS:
        if operation in OF_NODES:
            assert status(api, operation, own, OTHERS) == 403, operation
            assert status(api, operation, own) not in REFUSED, operation
        elif not is_open(operation):
            assert status(api, operation, own) == 403, operation
