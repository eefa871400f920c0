"""Code of packages is admitted at once, within bounds, and refused for the same reason each time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from host.adapters.os.machine import available_memory, processors
from host.domain.errors import HostError
from host.guests.admissions import Admissions, Task
from host.guests.code import DescriptorMismatchError
from host.nodes.packages.errors import PackageUploadRefusedError

WAIT = 60.0


def task(name: str, action: Callable[[], Any], memory: int = 1) -> Task[Any]:
    return Task(name=name, memory_bytes=memory, action=action)


class Crowd:
    """Tasks that tell how many of them ran at once, and in which order they began."""

    def __init__(self, expected: int) -> None:
        self.most = 0
        self.begun: list[str] = []
        self._now = 0
        self._lock = threading.Condition()
        self._expected = expected

    def task(self, name: str, memory: int = 1) -> Task[str]:
        return task(name, lambda: self._run(name), memory)

    def _run(self, name: str) -> str:
        with self._lock:
            self.begun.append(name)
            self._now += 1
            self.most = max(self.most, self._now)
            self._lock.notify_all()
            assert self._lock.wait_for(lambda: self.most >= self._expected, WAIT)
            self._now -= 1
        return name.upper()


def test_tasks_run_at_once_and_answer_in_their_order() -> None:
    crowd, told = Crowd(3), []
    with Admissions(threads=3) as admissions:
        found = admissions.run(
            [crowd.task(name) for name in "abcdefg"], lambda *facts: told.append(facts)
        )
    assert found == list("ABCDEFG")
    assert crowd.most == 3
    assert crowd.begun[0] in "abc"
    assert [(count, whole) for _, count, whole in told] == [(n, 7) for n in range(1, 8)]
    assert sorted(name for name, _, _ in told) == list("abcdefg")


def test_memory_bounds_what_runs_at_once() -> None:
    crowd = Crowd(2)
    with Admissions(threads=8, memory_bytes=100) as admissions:
        admissions.run([crowd.task(name, 50) for name in "abcdefgh"])
    assert crowd.most == 2


def test_a_task_larger_than_all_memory_runs_alone() -> None:
    crowd = Crowd(1)
    with Admissions(threads=8, memory_bytes=100) as admissions:
        admissions.run([crowd.task(name, 1_000) for name in "abcd"])
    assert crowd.most == 1


def test_several_callers_share_the_bounds() -> None:
    crowd = Crowd(2)
    with Admissions(threads=8, memory_bytes=2) as admissions, ThreadPoolExecutor(4) as callers:
        answers = callers.map(
            lambda who: admissions.run([crowd.task(f"{who}{n}") for n in range(4)]), "abcd"
        )
        assert [len(answer) for answer in answers] == [4, 4, 4, 4]
    assert crowd.most == 2


@pytest.mark.parametrize("bad", [[0, 1], [1, 3], [0, 3], [2, 3], [3]])
@pytest.mark.parametrize("slow", [0, 1, 2, 3])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_first_failure_in_the_order_is_told(bad: list[int], slow: int, threads: int) -> None:
    """Whichever task is slow: it ends only when all others that were begun have ended."""
    others = threading.Semaphore(0)

    def action(number: int) -> None:
        if number == slow and threads == 4:
            for _ in range(3):
                assert others.acquire(timeout=WAIT)
        others.release()
        if number in bad:
            raise HostError(f"task {number}")

    def run(admissions: Admissions) -> None:
        admissions.run([task(str(n), lambda n=n: action(n)) for n in range(4)])

    with Admissions(threads=threads) as admissions, pytest.raises(HostError) as failed:
        run(admissions)
    assert failed.value.message == f"task {min(bad)}"


def test_nothing_is_begun_after_a_failure() -> None:
    begun: list[int] = []

    def action(number: int) -> None:
        begun.append(number)
        raise HostError(f"task {number}")

    with Admissions(threads=1) as admissions, pytest.raises(HostError, match="task 0"):
        admissions.run([task(str(n), lambda n=n: action(n)) for n in range(4)])
    assert begun == [0]


def test_no_tasks_are_done_at_once() -> None:
    with Admissions(threads=1) as admissions:
        assert admissions.run(list[Task[None]]()) == []


def test_a_closed_object_runs_nothing() -> None:
    admissions = Admissions(threads=1)
    admissions.close()
    with pytest.raises(RuntimeError):
        admissions.run([task("late", lambda: None)])


def test_the_machine_tells_its_memory(tmp_path: Path) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "group"
    group.mkdir()
    assert available_memory(meminfo, group) is None
    meminfo.write_text("MemTotal:  999 kB\nMemAvailable:   64 kB\n")
    assert available_memory(meminfo, group) == 64 * 1024
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000\n")
    assert available_memory(meminfo, group) == 64 * 1024
    (group / "memory.max").write_text("5000\n")
    assert available_memory(meminfo, group) == 4000
    (group / "memory.current").write_text("6000\n")
    assert available_memory(meminfo, group) == 0
    meminfo.write_text("MemAvailable: many kB\n")
    assert available_memory(meminfo, group) == 0
    assert processors() >= 1
    with Admissions.of_machine() as admissions:
        assert admissions.run([task("one", lambda: 1)]) == [1]


def cpks(make: Any, entries: Any, component: Any, lies: Sequence[dict[str, Any]]) -> bytes:
    """A CPI of a contract CPK for each description of lies, `cpk0.jar` and on."""
    made = []
    for number, lie in enumerate(lies):
        name = f"wat{number}.Contract"
        declared = {"contracts": ({"name": name, "states": []},), "states": ()}
        told = {kind: list(items) for kind, items in declared.items()}
        wasm = component(changes=told, imports=lie.get("imports", ""))
        entries_of = entries(wasm, **{**declared, **{k: lie[k] for k in lie if k != "imports"}})
        made.append(make.cpk(entries_of, name=f"com.example.contract{number}"))
    return make.cpi(*made)


def stages(bench: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an upload's status tells, also what a client that polls would miss."""
    told: list[str] = []
    uploads = bench.service._uploads  # as above
    advance = uploads.advance

    def watched(request_id: str, stage: str) -> None:
        advance(request_id, stage)
        told.append(bench.service.upload_status(request_id).status)

    monkeypatch.setattr(uploads, "advance", watched)
    return told


def test_an_upload_tells_how_many_cpks_are_done(
    bench: Any,
    make: Any,
    key: Any,
    component_entries: Any,
    component: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench.trust(key)
    told = stages(bench, monkeypatch)
    request_id = bench.upload(cpks(make, component_entries, component, [{}, {}, {}]))
    assert bench.service.upload_status(request_id).status == "OK"
    assert [text.partition(" (")[0] for text in told] == [
        *(f"Compiling CPKs: {done} of 3" for done in range(4)),
        "Persisting CPI",
    ]
    assert sorted(text.partition("(")[2] for text in told[1:4]) == [
        f"cpk{number}.jar)" for number in range(3)
    ]


@pytest.mark.parametrize("_round", range(4))
def test_an_upload_tells_the_first_fault_by_name(
    bench: Any,
    make: Any,
    key: Any,
    component_entries: Any,
    component: Any,
    clock_import: str,
    _round: int,
) -> None:
    bench.trust(key)
    lie = {"commands": ({"name": "wat.Lie"},)}
    request_id = bench.upload(cpks(make, component_entries, component, [{}, lie, {}, lie]))
    with pytest.raises(DescriptorMismatchError, match=r"^cpk1\.jar: "):
        bench.service.upload_status(request_id)
    other = {"imports": clock_import}
    with pytest.raises(PackageUploadRefusedError, match=r"cpk1\.jar: ") as refused:
        bench.upload(cpks(make, component_entries, component, [{}, other, other, lie]))
    assert refused.value.details["check"] == "cpk-code-refused"
    assert bench.service.all() == []
