"""A machine without disk, descriptors, memory or threads: clients are told to try again."""

import contextlib
import errno
import resource
import sqlite3

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from host.adapters.sqlite.database import Database
from host.domain.errors import OutageError
from host.rest.errors import answer_of, unexpected


def answer(failure):
    def fail(_request):
        raise failure

    app = Starlette(routes=[Route("/", fail)], exception_handlers={Exception: unexpected})
    return TestClient(app, raise_server_exceptions=False).get("/")


def full_database():
    failure = sqlite3.OperationalError("database or disk is full")
    failure.sqlite_errorcode = sqlite3.SQLITE_FULL
    return failure


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (OSError(errno.EMFILE, "Too many open files", "/srv/secret"), 503, "platform-outage"),
        (MemoryError(), 503, "platform-outage"),
        (RuntimeError("can't start new thread"), 503, "platform-outage"),
        (sqlite3.OperationalError("unable to open database file"), 503, "platform-outage"),
        (OSError(errno.ENOSPC, "No space left on device"), 500, "disk-full"),
        (full_database(), 500, "disk-full"),
        (OSError(errno.EACCES, "Permission denied"), 500, "internal-error"),
        (KeyError("a defect"), 500, "internal-error"),
    ],
    ids=repr,
)
def test_a_shortage_is_told_from_a_defect(failure, status, code):
    reply = answer(failure)
    assert (reply.status_code, reply.json()["details"]["code"]) == (status, code)
    assert answer_of(failure) == (status, code)
    assert "/srv" not in reply.text


@contextlib.contextmanager
def no_descriptor_left():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_database_that_cannot_be_opened_for_want_of_a_descriptor_is_an_outage(tmp_path):
    path = tmp_path / "cluster.sqlite"
    with Database.open(path, []):
        pass
    with no_descriptor_left(), pytest.raises(OutageError) as caught:
        Database.open(path, [])
    assert caught.value.code == "platform-outage"
