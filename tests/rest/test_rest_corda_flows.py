"""What Corda's tests of its flow REST resource prove about HTTP, under their names."""

import pytest

from host.access import Effect, Permission
from tests.flow.corda_names import named
from tests.rest.test_rest_flows import start

NOBODY = "0123456789AB"


@named("FlowRestResourceImplTest", 3, 8)
@pytest.mark.parametrize("rest", ["", "/r1"])
def test_no_such_node(api, corda, rest):
    assert api.get(f"/api/v5_2/flow/{NOBODY}{rest}").status_code == 404


@named("FlowRestResourceImplTest", 4, 9)
@pytest.mark.parametrize("rest", ["", "/r1"])
def test_a_short_hash_that_is_none(api, corda, rest):
    reply = api.get(f"/api/v5_2/flow/short{rest}")
    assert reply.status_code == 400


@named("FlowRestResourceImplTest", 13)
def test_a_start_with_a_short_hash_that_is_none(api, corda):
    assert start(api, "short", "bad-hash").status_code == 400


@named("FlowRestResourceImplTest", 14)
def test_a_start_on_no_node(api, corda):
    assert start(api, NOBODY, "nowhere").status_code == 404


@named("FlowRestResourceImplTest", 21)
def test_a_start_without_permission(api, services, alice, corda):
    allowed = (Permission(effect=Effect.ALLOW, pattern="POST:/api/v5_2/flow/.*"),)
    services.users.create("clerk", "pw", full_name="", permissions=allowed)
    api.auth = ("clerk", "pw")
    assert start(api, alice, "no-permission").status_code == 403
