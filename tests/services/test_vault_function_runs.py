"""`SandboxedVaultFunctions`: which code is run, with what, who is charged, and how it fails."""

import json
from dataclasses import replace

import pytest

from host.domain.capability_error import CapabilityError
from host.domain.clock import SimClock
from host.domain.errors import UnavailableError
from host.guests.vault_functions import SandboxedVaultFunctions
from host.ports.quotas import Unmetered
from sandbox.errors import HostMemoryError, OutOfFuelError
from sandbox.limits import Usage
from sandbox.outcome import Returned
from sandbox.runnable import Runnable
from tests.services.support import ALICE, contract_cpk, cpi, holding, workflow_cpk

NODE = holding(ALICE).short_hash
OTHER = "other.State"
REQUEST = {
    "transaction": {"id": "T", "outputs": [{"type": OTHER}, {"type": "iou.Iou"}, {"type": OTHER}]},
    "outputs": [0, 1, 2],
    "myKeys": ["PEM"],
}


class Guests(Unmetered):
    """A library whose guests answer what `answers` has for their CPK; the quotas of a node."""

    def __init__(self):
        self.answers, self.ran, self.charges = {}, [], []

    def guest(self, _cpi, cpk, *, node=None):
        return Guest(self, cpk.identity.name, node)

    def spent(self, node, spent):
        self.charges.append((node, spent.usage.fuel, spent.code))


class Guest(Runnable):
    def __init__(self, guests, name, node):
        self.guests, self.name, self.node = guests, name, node

    def run(self, request, host=None):
        self.guests.ran.append((self.name, request, host))
        answer = self.guests.answers[self.name]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def returned(value, *, is_error=False):
    text = value if isinstance(value, str) else json.dumps(value)
    return Returned(value=text, is_error=is_error, usage=Usage(fuel=7), receipt="{}")


@pytest.fixture
def guests():
    return Guests()


def record(guests):
    first = replace(workflow_cpk(), state_types=contract_cpk().state_types)
    second = replace(workflow_cpk("more"), state_types=((OTHER, "other.Contract"),))
    functions = SandboxedVaultFunctions(library=guests, quotas=guests, clock=SimClock())
    package = cpi(cpks=(contract_cpk(), first, second, workflow_cpk("third")))
    return functions.record(package, REQUEST, node=NODE)


def test_the_package_that_has_the_type_is_run_with_no_capability(guests):
    guests.answers = {"iou-workflow": returned([{"index": 1}]), "more": returned([{"index": 0}])}
    assert record(guests) == [{"index": 1}, {"index": 0}]
    (name, request, host), (other, second, _) = guests.ran
    assert (name, other, host) == ("iou-workflow", "more", None)
    assert (request.export, request.granted) == ("run", frozenset())
    start = json.loads(request.argument)
    assert (start["flowClass"], start["session"]) == ("cordbox:vault", None)
    assert start["requestBody"] == {**REQUEST, "op": "record", "outputs": [1]}
    assert json.loads(second.argument)["requestBody"]["outputs"] == [0, 2]
    assert guests.charges == [(NODE, 7, None), (NODE, 7, None)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (returned({"type": "ValueError", "message": "no JSON"}, is_error=True), "no JSON"),
        (returned("nothing"), "iou-workflow: "),
        (returned({"index": 1}), "expected a list of objects"),
        (returned([1]), "expected a list of objects"),
        (OutOfFuelError("all used"), "all used"),
    ],
)
def test_code_that_fails_is_named(guests, answer, words):
    guests.answers = {"iou-workflow": answer}
    with pytest.raises(CapabilityError, match=words) as failed:
        record(guests)
    assert failed.value.code == "vault-function-failed"
    assert failed.value.message.startswith("iou-workflow: ")


def test_what_a_failed_run_used_is_charged(guests):
    failed = OutOfFuelError("all used")
    failed.usage = Usage(fuel=9)
    guests.answers = {"iou-workflow": failed}
    with pytest.raises(CapabilityError):
        record(guests)
    assert guests.charges == [(NODE, 9, failed.code)]


@pytest.mark.parametrize("lost", [UnavailableError("gone"), HostMemoryError("full")])
def test_a_run_that_the_host_lost_says_nothing_of_the_code(guests, lost):
    guests.answers = {"iou-workflow": lost}
    with pytest.raises(UnavailableError):
        record(guests)
