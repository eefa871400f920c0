"""What a verification by a Python contract writes, and what its first run does that others do not."""

import json
from pathlib import Path

import pytest

from sandbox.images import memories
from sandbox.images.pagemap import PAGE_BYTES, PageMap
from sandbox.images.restored import Keeping, RestoringProgram
from sandbox.limits import Limits
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World

PAGES_MAX = 360
"""Written by one verification: 324 when this was measured, 385 before the SDK prepared itself."""
KEYS = ["the borrower's key", "the lender's key"]
IOU = {
    "linear_id": "1",
    "borrower": "O=Alice, L=London, C=GB",
    "lender": "O=Bob, L=London, C=GB",
    "borrower_key": KEYS[0],
    "lender_key": KEYS[1],
    "amount": 100,
    "currency": "GBP",
    "paid": 0,
}
OUTPUT = {
    "type": "iou_contracts.Iou",
    "contract": "iou_contracts.IouContract",
    "value": IOU,
    "participants": KEYS,
    "encumbrance": None,
}
TRANSACTION = json.dumps(
    {
        "id": "SHA-256D:" + "0" * 64,
        "metadata": {},
        "notary": None,
        "timeWindow": None,
        "signatories": KEYS,
        "inputs": [],
        "references": [],
        "outputs": [OUTPUT],
        "commands": [{"type": "iou_contracts.Issue", "value": {}}],
    }
).encode()


@pytest.fixture(scope="module")
def program(cache_dir):
    sandbox = Sandbox(cache_dir=cache_dir, restored_instances=False)
    files = {}
    for folder in (Path("sandbox/sdk"), Path("sample_cordapps/iou/contracts")):
        for path in folder.rglob("*.py"):
            name = path.relative_to(folder).as_posix()
            if not name.startswith(("cordapp_testkit", "test_")):
                files[name] = path.read_text()
    source = PythonSource(files, ("iou_contracts", "cordapp.guest"))
    component = sandbox.make_image(World.CONTRACT, source)
    return sandbox.guest(World.CONTRACT, component.digest).program


@pytest.fixture
def instance(program):
    found = program.take()
    found.begin(Limits())
    yield found
    found.end(is_intact=False)


def verify(program, instance):
    """The fuel of a verification."""
    limits = Limits()
    instance.store.set_fuel(limits.fuel_max)
    is_ok, text, _ = instance.store.call(program.exports["verify"], TRANSACTION, size_max=10_000)
    assert is_ok, text
    return limits.fuel_max - instance.store.get_fuel()


def test_a_verification_writes_few_pages(program, instance):
    page_map, memory = PageMap(), instance.memory
    pages = memory.size // PAGE_BYTES
    assert page_map.written(memory.base, pages).count(1) == 0
    verify(program, instance)
    assert 0 < page_map.written(memory.base, pages).count(1) <= PAGES_MAX
    page_map.close()


def test_the_image_has_what_the_first_run_would_make(program, instance):
    """A first verification used twice the fuel of a second one."""
    first = verify(program, instance)
    assert first < 1.2 * verify(program, instance)


@pytest.fixture
def restoring(program):
    """A program whose runs have shown which pages they usually write."""
    keeping = Keeping.opened()
    found = RestoringProgram(program.code, program.image, keeping)
    for _ in range(3):
        instance = found.take()
        instance.begin(Limits())
        verify(program, instance)
        instance.end(is_intact=True)
    yield found
    keeping.waiting.close()
    keeping.page_map.close()


@pytest.fixture
def second(restoring):
    """A new instance of it, while another one waits."""
    waiting, found = restoring.take(), restoring.take()
    found.begin(Limits())
    yield found
    found.end(is_intact=False)
    waiting.end(is_intact=False)


def written(restoring, instance):
    memory = instance._inner.memory
    return restoring.keeping.page_map.written(memory.base, memory.size // PAGE_BYTES)


def test_a_new_instance_has_the_pages_that_runs_usually_write(program, restoring, second):
    content = restoring.content()
    places = {at // PAGE_BYTES for run in content.usual.runs for at in range(*run, PAGE_BYTES)}
    assert 0 < len(places) <= PAGES_MAX
    assert {page for page, flag in enumerate(written(restoring, second)) if flag} == places
    assert bytes(second._inner.memory.view()) == bytes(content.bytes)
    verify(program, second)
    assert written(restoring, second).count(1) <= content.usual.pages.count(1) + 10
    second.end(is_intact=True)
    assert bytes(second._inner.memory.view()) == bytes(content.bytes)


def test_a_system_that_does_not_copy_pages_at_once_copies_them_one_by_one(
    program, restoring, monkeypatch
):
    monkeypatch.setattr(memories, "_MADV_POPULATE_WRITE", 99)
    waiting, new = restoring.take(), restoring.take()
    new.begin(Limits())
    assert written(restoring, new).count(1) == 0
    verify(program, new)
    for instance in (new, waiting):
        instance.end(is_intact=False)
