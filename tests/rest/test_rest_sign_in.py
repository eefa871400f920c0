"""Guessers over REST: they wait, they are told of, and they keep nobody else waiting."""

import asyncio
import threading
from contextlib import contextmanager

import pytest
import structlog
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from structlog.testing import LogCapture

from host.access import NotAuthenticatedError, SignInDelayedError
from host.access.delays import SignInDelays
from host.domain.clock import SimClock
from host.rest.fair_turns import FairTurns, NoTurnError
from host.rest.requester import Requester
from host.rest.sign_in import SignIn


class Users:
    """Users whose passwords are their names; notes who is checked, and holds those in `gate`."""

    def __init__(self):
        self.checked, self.gate, self.known = [], threading.Event(), set()
        self.gate.set()
        self.comes, self._changed = [], threading.Condition()

    def remembered(self, login_name, password):
        return login_name if login_name in self.known and login_name == password else None

    def wait_for(self, login_name):
        """Wait until a check of this user has begun."""
        with self._changed:
            return self._changed.wait_for(lambda: login_name in self.comes, 30)

    def authenticate(self, login_name, password):
        with self._changed:
            self.comes.append(login_name)
            self._changed.notify_all()
        self.gate.wait(30)
        self.checked.append(login_name)
        if login_name != password:
            raise NotAuthenticatedError("User not authorized.")
        return login_name


@pytest.fixture
def users():
    return Users()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def sign_in(registry):
    return SignIn(SignInDelays(SimClock()), registry)


def who(address="192.0.2.1"):
    return Requester(request_id="r", address=address)


async def tried(sign_in, users, name, password, address="192.0.2.1"):
    try:
        return await sign_in.user(users, name, password, who(address))
    except (NotAuthenticatedError, SignInDelayedError) as refused:
        return type(refused)


@contextmanager
def no_waiting(monkeypatch):
    """Delays that are short enough to be waited out are not: the clock stands still here."""
    monkeypatch.setattr("host.rest.sign_in._WAITED_MS_MAX", 0)
    yield


def test_guesses_after_a_wrong_one_are_not_looked_at(sign_in, users, monkeypatch):
    async def work():
        return [await tried(sign_in, users, "alice", "wrong") for _ in range(5)]

    with no_waiting(monkeypatch):
        assert asyncio.run(work()) == [NotAuthenticatedError, *[SignInDelayedError] * 4]
    assert users.checked == ["alice"]


def test_guesses_at_once_are_one_guess(sign_in, users, monkeypatch):
    async def work():
        return await asyncio.gather(*(tried(sign_in, users, "alice", "wrong") for _ in range(20)))

    with no_waiting(monkeypatch):
        found = asyncio.run(work())
    assert found.count(NotAuthenticatedError) == 1
    assert users.checked == ["alice"]


def test_the_owner_is_not_locked_out(sign_in, users, monkeypatch):
    async def work():
        for _ in range(3):
            await tried(sign_in, users, "alice", "wrong")
        elsewhere = await tried(sign_in, users, "alice", "alice", "192.0.2.2")
        users.known.add("alice")
        return elsewhere, await tried(sign_in, users, "alice", "alice")

    with no_waiting(monkeypatch):
        assert asyncio.run(work()) == ("alice", "alice")


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.2"])
def test_a_first_login_does_not_wait_for_strangers(sign_in, users, monkeypatch, address):
    """60 strangers at 192.0.2.1 guess; a user who signs in elsewhere, or there, is next."""

    async def work():
        users.gate.clear()
        guesses = [
            asyncio.ensure_future(tried(sign_in, users, f"user-{n}", "wrong")) for n in range(60)
        ]
        assert await asyncio.to_thread(users.wait_for, "user-0")
        login = asyncio.ensure_future(tried(sign_in, users, "alice", "alice", address))
        await asyncio.sleep(0)
        if address != "192.0.2.1":
            assert await asyncio.to_thread(users.wait_for, "alice")  # beside the guess
        users.gate.set()
        await asyncio.gather(login, *guesses)

    with no_waiting(monkeypatch):
        asyncio.run(work())
    assert users.comes[:2] == ["user-0", "alice"]


def test_who_waits_is_counted(sign_in, users, registry, monkeypatch):
    async def work():
        for _ in range(3):
            await tried(sign_in, users, "alice", "wrong")

    with no_waiting(monkeypatch):
        asyncio.run(work())
    name = "cordbox_rest_sign_ins_refused_total"
    assert registry.get_sample_value(name, {"reason": "wrong"}) == 1
    assert registry.get_sample_value(name, {"reason": "delayed"}) == 2


def test_turns_go_round_the_addresses():
    async def work():
        turns, order = FairTurns(at_once=1, waiting_max=10), []

        async def take(address, first=False):
            async with turns.turn(address, first=first):
                order.append(address + ("!" if first else ""))
                await asyncio.sleep(0)

        waiting = [take("a"), take("a"), take("a"), take("b"), take("a", first=True), take("c")]
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(work()) == ["a", "b", "c", "a!", "a", "a"]


def test_turns_are_given_back_by_who_leaves():
    async def work():
        turns = FairTurns(at_once=1, waiting_max=2)
        inside, go = asyncio.Event(), asyncio.Event()

        async def hold():
            async with turns.turn("a", first=False):
                inside.set()
                await go.wait()

        holder = asyncio.ensure_future(hold())
        await inside.wait()
        leaving = [asyncio.ensure_future(hold()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(NoTurnError):
            await hold()
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        go.set()
        await holder
        async with turns.turn("b", first=False):
            return len(turns._queues)

    assert asyncio.run(work()) == 1


@pytest.fixture
def lines():
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    return capture.entries


def test_a_wrong_password_is_told_with_user_address_and_request(tmp_path, host_on, lines):
    with host_on(tmp_path / "data") as host:
        address = ("198.51.100.7", 50000)
        client = TestClient(host.asgi, raise_server_exceptions=False, client=address)
        with client:
            auth, headers = ("adm\nin", "wrong"), {"X-Request-Id": "guess-1"}
            found = [
                client.get("/api/v5_2/cpi", auth=auth, headers=headers).status_code
                for _ in range(3)
            ]
            told = client.get("/api/v5_2/cpi", auth=auth)
            # The owner, at the same address, with the right password.
            assert client.get("/api/v5_2/cpi", auth=("admin", "secret")).status_code == 200
            seen = client.get("/metrics").text
    assert found == [401, 401, 401]
    assert told.status_code == 429
    assert 1 <= int(told.headers["retry-after"]) <= 4
    assert told.json()["details"]["code"] == "sign-in-delayed"
    failures = [line for line in lines if line["event"] == "sign-in-failed"]
    assert [line["next_after_ms"] for line in failures] == [1000, 2000, 4000]
    assert {(f["user"], f["address"], f["rest_request"]) for f in failures} == {
        ("adm\ufffdin", "198.51.100.7", "guess-1")
    }
    assert 'cordbox_rest_sign_ins_refused_total{reason="wrong"} 3.0' in seen
