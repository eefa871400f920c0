"""Permission strings: what they match, who wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.access import Effect, Permission, http_action, is_allowed, start_flow_action
from host.access.errors import PermissionInvalidError

V5 = ("/api/v5_1", "/api/v5_2", "/api/v5_3")


def allow(pattern):
    return Permission(effect=Effect.ALLOW, pattern=pattern)


def deny(pattern):
    return Permission(effect=Effect.DENY, pattern=pattern)


def action(method, template, query=(), **parameters):
    return http_action(method, template, parameters, query=query, bases=(V5[1],), twins=V5)


CPI = action("GET", "/cpi")


def test_nothing_is_allowed_without_a_permission():
    assert not is_allowed((), CPI)


def test_a_pattern_matches_the_whole_action():
    permissions = (allow("GET:/api/v5_2/cpi"),)
    assert is_allowed(permissions, CPI)
    assert not is_allowed(permissions, action("GET", "/cpi/status/{id}", id="1"))
    assert not is_allowed(permissions, action("POST", "/cpi"))
    assert not is_allowed(permissions, action("GET", "/cpi", query=(("limit", "5"),)))


@pytest.mark.parametrize(
    "permissions", [(allow(".*"), deny(".*cpi")), (deny(".*cpi"), allow(".*"))]
)
def test_deny_beats_allow_in_any_order(permissions):
    assert not is_allowed(permissions, CPI)
    assert is_allowed(permissions, action("GET", "/flow/{id}", id="X"))


@pytest.mark.parametrize("pattern", ["(", "x" * 256])
def test_a_pattern_that_cannot_be_used_is_refused(pattern):
    with pytest.raises(PermissionInvalidError):
        allow(pattern)


ASKED = action("GET", "/user/{name}", query=(("b", "x y"), ("a", "1")), name="Ü?b")


@pytest.mark.parametrize(
    "pattern",
    [
        r"GET:/api/v5_2/user/[^/]+",
        r"GET:/api/v5_1/user/%C3%9C%3Fb",
        r"GET:/api/v5_3/user/Ü\?b",
        r"GET:/api/v5_2/user/Ü\?b\?a=1&b=x y",
        r"GET:/api/v5_2/user/.*\?a=1",
        r"GET:/api/v5_2/user/.*\?b=x%20y",
        r"get:/API/V5_2/USER/.*",
    ],
)
def test_a_deny_holds_in_each_of_these_spellings(pattern):
    assert not is_allowed((allow(".*"), deny(pattern)), ASKED)


def test_an_allow_holds_in_the_canonical_spelling_alone():
    assert ASKED.canonical == "GET:/api/v5_2/user/%C3%9C%3Fb?a=1&b=x%20y"
    assert is_allowed((allow(r"GET:/api/v5_2/user/[^/?]+\?a=1&b=.*"),), ASKED)
    for pattern in (r"GET:/api/v5_[13]/.*", r"get:.*", r".*/Ü.*", r".*\?a=1"):
        assert not is_allowed((allow(pattern),), ASKED), pattern


def test_a_deny_that_excludes_letters_matches_as_it_is_written():
    assert not is_allowed((allow(".*"), deny("StartFlow:[^a-z]+")), start_flow_action("RED"))


def test_flow_classes_are_allowed_by_letter_case_and_denied_without():
    for spelt in ("red.Exec", "RED.EXEC", "red.exec"):
        assert not is_allowed(
            (allow(".*"), deny(f"StartFlow:{spelt}")), start_flow_action("red.Exec")
        )
    assert not is_allowed((allow("StartFlow:red.exec"),), start_flow_action("red.Exec"))


@given(st.text(min_size=1), st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=4))
def test_a_deny_of_the_path_holds_whatever_parameter_and_query_say(value, query):
    asked = action("PUT", "/thing/{value}/quota", query=query, value=value.replace("/", ""))
    assert not is_allowed((allow(".*"), deny("PUT:/api/v5_3/thing/[^/]*/quota")), asked)
