"""What a sealed process can do to the system: attacks by native code, and what the kernel says."""

import fcntl
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.isolation.errors import (
    GuestProcessDiedError,
    GuestProcessLostError,
    GuestProcessViolationError,
)
from sandbox.isolation.process import GuestProcess
from sandbox.isolation.seal import WALLS
from sandbox.limits import Limits
from tests.isolation.attacking_child import ENDS, SYSTEM_CALLS
from tests.isolation.conftest import PLAN
from tests.sandbox.conftest import RESTORED

LIMITS = Limits()
MAY_BE_FORBIDDEN = "network-namespace"
"""A container's own filter may refuse to make one: it is told then."""
EPERM = "-1"
ALLOWED = {"print": "1", "ask who it is": "1"}
REFUSED = {
    "open a file",
    "make a file",
    "look at a file",
    "make a file in memory",
    "raise a limit",
    "change what the process may",
}
"""What is refused with EPERM; everything else costs the process its life."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filter is Linux's"),
]


@pytest.mark.parametrize("attack", sorted(REFUSED | ALLOWED.keys()))
def test_what_libraries_try_by_themselves_is_answered(attackers, attack):
    outcome = attackers.workflow().call("run", attack, limits=LIMITS)
    assert outcome.value == ALLOWED.get(attack, EPERM)


@pytest.mark.parametrize("attack", sorted(SYSTEM_CALLS.keys() - REFUSED - ALLOWED.keys()))
def test_an_attack_on_the_system_ends_the_process(attackers, attack):
    with pytest.raises(GuestProcessViolationError) as caught:
        attackers.workflow().call("run", attack, limits=LIMITS)
    assert caught.value.code == "guest-process-violation"
    assert "system call" in caught.value.message
    assert attackers.workflow().call("run", "print", limits=LIMITS).value == "1"


@pytest.mark.parametrize("end", sorted(ENDS))
def test_a_process_that_ends_by_itself_is_the_guests_fault(attackers, end):
    with pytest.raises(GuestProcessDiedError) as caught:
        attackers.workflow().call("run", end, limits=LIMITS)
    assert caught.value.code == "guest-process-died"
    assert "/" not in caught.value.message


def missing(process: GuestProcess) -> dict[str, str]:
    return {wall: reason for wall, reason in process.walls.items() if reason}


def _status(task: Path) -> dict[str, str]:
    text = (task / "status").read_text(encoding="ascii")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_the_kernel_agrees_on_every_thread(shared_pool):
    shared_pool.contract().call("verify", "pass", limits=LIMITS)
    process = shared_pool.process()
    assert tuple(process.walls) == WALLS
    assert set(missing(process)) <= {MAY_BE_FORBIDDEN}
    tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
    assert len(tasks) > shared_pool.pool.plan.flows
    for task in tasks:
        status = _status(task)
        assert status["Seccomp"] == "2"
        assert status["NoNewPrivs"] == "1"
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh")} == {0}


def test_nothing_of_the_host_is_left_in_the_process(shared_pool):
    shared_pool.contract().call("verify", "pass", limits=LIMITS)
    pid = shared_pool.process().pid
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    has_own_network = MAY_BE_FORBIDDEN not in missing(shared_pool.process())
    own, ours = Path(f"/proc/{pid}/ns/net").readlink(), Path("/proc/self/ns/net").readlink()
    assert (own != ours) == has_own_network
    kinds = {}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        kinds[int(descriptor.name)] = str(descriptor.readlink()).split(":")[0]
    assert [kinds.pop(stream) for stream in (0, 1, 2)] == ["/dev/null"] * 3
    code = {name for name in kinds.values() if name.endswith((".cwasm", ".memory"))}
    own_pages = {f"/proc/{pid}/pagemap"} if RESTORED else set()
    assert set(kinds.values()) - code == {"socket", "/memfd"} | own_pages
    changes = [n for n, name in kinds.items() if name == "/memfd"]
    assert len(changes) == 2, "those of the two images, which nobody can write"
    for number in changes:
        with Path(f"/proc/{pid}/fd/{number}").open("rb") as image:
            assert fcntl.fcntl(image.fileno(), fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    for name in ("Max core file size", "Max file size", "Max processes"):
        (line,) = (line for line in limits.splitlines() if line.startswith(name))
        assert line.removeprefix(name).split()[:2] == ["0", "0"]


def test_secrets_of_the_hosts_environment_do_not_reach_the_process(guests_of, monkeypatch):
    monkeypatch.setenv("CORDBOX_ADMIN_PASSWORD", "do-not-tell")
    guests = guests_of()
    guests.contract().call("verify", "pass", limits=LIMITS)
    environment = Path(f"/proc/{guests.process().pid}/environ").read_bytes()
    assert b"do-not-tell" not in environment


def test_memory_beyond_the_bound_ends_no_other_run(guests_of):
    guests = guests_of()
    hungry = "x = []\nwhile True: x.append(bytes(1 << 20))"
    with pytest.raises(Exception, match="memory") as caught:
        guests.workflow().call("run", hungry, limits=LIMITS)
    assert caught.value.code == "memory-limit"
    assert guests.workflow().call("run", "result = 1", limits=LIMITS).value == "1"


@pytest.mark.parametrize("module", ["tests.isolation.no_such_module", "this"])
def test_a_process_that_cannot_start_is_no_fault_of_the_run(guests_of, module):
    guests = guests_of(plan=replace(PLAN, module=module))
    with pytest.raises(GuestProcessLostError) as caught:
        guests.workflow().call("run", "1", limits=LIMITS)
    assert caught.value.code == "guest-process-lost"
    assert guests.pool.processes() == ()


def test_damaged_code_is_refused_before_any_run(guests_of, tmp_path):
    guests = guests_of()
    (tmp_path / "code").write_bytes(b"no compiled code")
    good = guests.codes

    def damaged():
        (contract, workflow) = good()
        contract.file.close()
        return (replace(contract, file=(tmp_path / "code").open("rb")), workflow)

    guests.codes = damaged
    with pytest.raises(GuestProcessLostError, match="refuses its code"):
        guests.contract().call("verify", "pass", limits=LIMITS)
