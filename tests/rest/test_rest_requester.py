"""Each request has an id, and the log says who sent it."""

import re

import pytest
import structlog
from structlog.testing import LogCapture

from tests.rest.conftest import PASSWORD


@pytest.fixture
def lines():
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    return capture.entries


def requests_in(lines):
    return [line for line in lines if line["event"] == "request"]


def test_the_log_names_user_address_and_request(api, lines):
    reply = api.get("/api/v5_2/virtualnode/0123456789AB", headers={"X-Request-Id": "ours-1"})
    assert reply.status_code == 404
    assert reply.headers["x-request-id"] == "ours-1"
    (line,) = requests_in(lines)
    assert (line["user"], line["address"], line["rest_request"], line["log_level"]) == (
        "admin",
        "testclient",
        "ours-1",
        "info",
    )


def test_who_is_not_authenticated_has_an_address_and_no_name(host, client_of, lines):
    with client_of(host, auth=("admin", PASSWORD + "!")) as client:
        assert client.get("/api/v5_2/virtualnode").status_code == 401
    (line,) = requests_in(lines)
    assert (line["user"], line["address"]) == (None, "testclient")


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", "a\u00e9", 'quote"'])
def test_an_id_that_could_confuse_a_log_is_replaced(api, given):
    reply = api.get("/isHealthy", headers={"X-Request-Id": given.encode()})
    assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])
