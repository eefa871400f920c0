import pytest

from host.rbac import Effect, Permission, is_allowed
from host.rbac.errors import UserInvalidError


def allow(pattern):
    return Permission(effect=Effect.ALLOW, pattern=pattern)


def deny(pattern):
    return Permission(effect=Effect.DENY, pattern=pattern)


def test_nothing_is_allowed_without_a_permission():
    assert not is_allowed((), "GET:/api/v5_2/cpi")


def test_a_pattern_matches_the_whole_action():
    permissions = (allow("GET:/api/v5_2/cpi"),)
    assert is_allowed(permissions, "GET:/api/v5_2/cpi")
    assert not is_allowed(permissions, "GET:/api/v5_2/cpi/status/1")
    assert not is_allowed(permissions, "POST:/api/v5_2/cpi")


@pytest.mark.parametrize(
    "permissions", [(allow(".*"), deny(".*cpi")), (deny(".*cpi"), allow(".*"))]
)
def test_deny_beats_allow_in_any_order(permissions):
    assert not is_allowed(permissions, "GET:/api/v5_2/cpi")
    assert is_allowed(permissions, "GET:/api/v5_2/flow")


@pytest.mark.parametrize("pattern", ["(", "x" * 256])
def test_a_pattern_that_cannot_be_used_is_refused(pattern):
    with pytest.raises(UserInvalidError):
        allow(pattern)
