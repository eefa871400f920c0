"""What strangers may hold at a gateway, and which URLs it follows: pure, without sockets."""

import ipaddress

import pytest

from host.network.gateway.endpoint import EndpointRefusedError, is_denied, parse_endpoint
from host.network.gateway.limits import LogBudget, Strangers, Turns
from host.network.gateway.server import GatewayLimits, head_status
from host.network.gateway.shares import GROUP_SHARE, NODE_SHARE, PEER_SHARE, Shares


def test_the_stranger_that_is_idle_for_the_longest_time_goes_first():
    strangers = Strangers(3)
    assert [strangers.enter(name) for name in "abc"] == [None, None, None]
    strangers.begin("a")
    strangers.end("a", proved=False)  # used last
    assert strangers.enter("d") == "b"
    strangers.begin("c")  # at work: never closed for another
    assert strangers.enter("e") == "a"
    assert len(strangers) == 3


def test_members_do_not_count_as_strangers():
    strangers = Strangers(2)
    for number in range(100):
        strangers.enter(f"m{number}")
        strangers.begin(f"m{number}")
        strangers.end(f"m{number}", proved=True)
    assert len(strangers) == 0
    assert [strangers.enter(name) for name in "ab"] == [None, None]
    strangers.begin("m1")
    strangers.end("m1", proved=False)  # once proved, it stays a member's
    assert len(strangers) == 2


def test_a_newcomer_goes_where_all_strangers_are_at_work():
    strangers = Strangers(2)
    for name in "ab":
        strangers.enter(name)
        strangers.begin(name)
    assert strangers.enter("c") == "c"
    strangers.left("a")
    strangers.left("a")
    assert strangers.enter("d") is None


def test_one_peer_takes_a_quarter_of_the_work():
    turns = Turns(most=16, of_peer=4)
    assert [turns.take("a") for _ in range(5)] == [True] * 4 + [False]
    assert [turns.take(f"p{n}") for n in range(13)] == [True] * 12 + [False]
    turns.leave("a")
    assert turns.take("a")
    assert not turns.take("b")


def test_lines_about_strangers_are_ten_a_second_and_the_rest_is_counted():
    budget = LogBudget(10)
    assert [budget.admit(1_500) for _ in range(25)] == [0] * 10 + [None] * 15
    assert budget.admit(2_000) == 15
    assert budget.admit(2_000) == 0


GOOD = {
    "path": "/",
    "query_string": b"",
    "http_version": "1.1",
    "method": "POST",
}
HEADERS = {b"content-length": b"100", b"content-type": b"application/x-cordbox-link"}


@pytest.mark.parametrize(
    ("scope", "headers", "status"),
    [
        ({}, {}, None),
        ({"path": "/other", "method": "GET"}, {}, 404),
        ({"query_string": b"x=1"}, {}, 404),
        ({"http_version": "1.0", "method": "GET"}, {}, 505),
        ({"method": "GET"}, {b"content-length": b""}, 501),
        ({}, {b"content-length": b""}, 411),
        ({}, {b"content-length": b"-1"}, 411),
        ({}, {b"content-length": b"9" * 16}, 411),
        ({}, {b"content-length": b"1001", b"content-type": b"x"}, 413),
        ({}, {b"content-type": b"application/json"}, 415),
        ({}, {b"content-type": b""}, 415),
    ],
)
def test_requests_are_checked_in_cordas_order(scope, headers, status):
    limits = GatewayLimits(request_bytes_max=1000)
    assert head_status({**GOOD, **scope}, {**HEADERS, **headers}, limits) == status


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://a.example", "a.example", 443, "/"),
        ("https://a.example:8080/gate?x=1", "a.example", 8080, "/gate?x=1"),
        ("https://127.0.0.1:8080/", "127.0.0.1", 8080, "/"),
        ("https://[::1]:8080/", "::1", 8080, "/"),
    ],
)
def test_endpoints_are_urls_of_https(url, host, port, target):
    found = parse_endpoint(url)
    assert (found.host, found.port, found.target) == (host, port, target)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "https://",
        "https://user@a.example",
        "https://user:secret@a.example",
        "https://a.example/#x",
        "https://a.example:0",
        "https://a.example:99999",
        "https://a.example:x",
        "https://a.example/ x",
        "https://a.example/\r\nhost: b",
        "https://a.example/é",
        "https://[::1",
        "file:///etc/passwd",
        "https://a.example/" + "x" * 2048,
        "",
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(EndpointRefusedError):
        parse_endpoint(url)


def test_denied_networks_are_denied_in_every_form():
    denied = [ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fd00:ec2::/32")]
    for address in ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "fd00:ec2::1%1"):
        assert is_denied(address, denied)
    for address in ("127.0.0.1", "::1", "10.0.0.1"):
        assert not is_denied(address, denied)


def asked(*, realm="group", node="alice", peer="bob"):
    return {("group", realm): GROUP_SHARE, ("node", node): NODE_SHARE, ("peer", peer): PEER_SHARE}


def taken(shares, most, *holders):
    """How many posts of each holder begin one after the other, until none is admitted."""
    counts = [0] * len(holders)
    while True:
        admitted = [n for n, each in enumerate(holders) if shares.admits(each, most)]
        if not admitted:
            return counts
        for number in admitted:
            if shares.admits(holders[number], most):
                shares.begin(holders[number])
                counts[number] += 1


def test_a_peer_a_node_and_a_group_leave_room_for_others():
    shares = Shares()
    # One slow peer of many nodes, then a node with many slow peers, then a group of them.
    assert sum(taken(shares, 100, *(asked(node=str(n), peer="slow") for n in range(100)))) == 20
    hostile = [asked(realm="hostile", node="eve", peer=f"eve {n}") for n in range(100)]
    assert sum(taken(shares, 100, *hostile)) == 27
    others = [asked(realm="hostile", node=f"eve {n}", peer=f"eve {n}") for n in range(100)]
    assert sum(taken(shares, 100, *others)) < 15
    # Whoever comes last finds some free, and who has left gives back what it had.
    assert taken(shares, 100, asked(), asked(node="carol", peer="dave")) == [5, 5]
    assert shares.admits(asked(realm="third", node="third", peer="third"), 100)


def test_everybody_may_have_one_while_any_is_free():
    shares = Shares()
    assert sum(taken(shares, 4, *(asked(node=str(n), peer=str(n)) for n in range(9)))) == 2
    shares.begin(asked(realm="second", node="x", peer="x"))
    shares.begin(asked(realm="third", node="y", peer="y"))
    assert not shares.admits(asked(realm="fourth", node="z", peer="z"), 4)
    shares.end(asked(realm="third", node="y", peer="y"))
    assert shares.admits(asked(realm="fourth", node="z", peer="z"), 4)
    assert not shares.admits(asked(realm="second", node="x", peer="x"), 4)
