"""Memory is put back to its image after a run, whatever pages the run wrote."""

import gc
import os
import random
import threading
from pathlib import Path

import pytest

from sandbox.images import memories, restoring
from sandbox.images.kept import KeptInstances
from sandbox.images.pagemap import PAGE_BYTES, PageMap
from sandbox.images.restoring import Restorer, UsualPages
from sandbox.own_memory import thread_faults

PAGES = 64
SIZE = PAGES * PAGE_BYTES


@pytest.fixture
def page_map():
    found = PageMap()
    yield found
    found.close()


@pytest.fixture
def image():
    return random.Random(1).randbytes(SIZE)


@pytest.fixture
def file(image):
    descriptor = os.memfd_create("image")
    os.write(descriptor, image)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def make_memory(file):
    made = []

    def make():
        memory = memories._made(SIZE, 2 * SIZE, PAGE_BYTES)
        made.append(memory)
        memory.map_file(file, 0, SIZE)
        return memory

    yield make
    for memory in made:
        memories._libc.munmap(memory.base, memory.mapped)


@pytest.fixture
def memory(make_memory):
    return make_memory()


def write(memory, pages):
    for page in pages:
        memory.view()[page * PAGE_BYTES + page] ^= 0xFF


def written(page_map, memory):
    flags = page_map.written(memory.base, PAGES)
    return [page for page, flag in enumerate(flags) if flag]


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_pages_are_written_when_they_are_written_and_not_when_they_are_read(page_map, memory):
    assert written(page_map, memory) == []
    assert sum(memory.view()) > 0
    assert written(page_map, memory) == []
    write(memory, [0, 5, 63])
    assert written(page_map, memory) == [0, 5, 63]


def test_what_the_host_writes_is_seen(page_map, memory):
    read, write_end = os.pipe()
    os.write(write_end, b"text")
    os.readv(read, [memory.view()[7 * PAGE_BYTES : 7 * PAGE_BYTES + 4]])
    os.close(read)
    os.close(write_end)
    assert written(page_map, memory) == [7]


def test_a_page_that_is_written_with_its_own_content_is_seen(page_map, memory):
    memory.view()[:1] = bytes(memory.view()[:1])
    assert written(page_map, memory) == [0]


def test_a_system_that_does_not_tell_is_refused(monkeypatch):
    gc.collect()  # what other tests have left is closed now, and not in between
    before = descriptors()
    monkeypatch.setattr(PageMap, "written", lambda *_: b"\1\1\1")
    with pytest.raises(OSError, match="does not tell"):
        PageMap()
    assert descriptors() <= before


def test_an_answer_that_is_cut_short_is_refused(page_map, memory):
    last = 1 << 47
    with pytest.raises(OSError, match="cut short"):
        page_map.written(last - PAGE_BYTES, 1 << 17)


def test_memory_is_the_image_after_runs_that_wrote_any_pages(page_map, memory, image):
    choice = random.Random(2)
    restorer = Restorer(memory, memoryview(image), UsualPages(SIZE), page_map)
    for _ in range(200):
        write(memory, choice.sample(range(PAGES), choice.randrange(PAGES)))
        assert restorer.restore()
        assert memory.view() == image
        assert len(written(page_map, memory)) * PAGE_BYTES == restorer.own_bytes


def test_what_one_run_wrote_is_given_back_and_what_two_wrote_is_kept(page_map, memory, image):
    restorer = Restorer(memory, memoryview(image), UsualPages(SIZE), page_map)
    write(memory, [3, 20])
    restorer.restore()
    assert written(page_map, memory) == []
    write(memory, [3, 40])
    restorer.restore()
    assert written(page_map, memory) == [3]
    assert memory.view() == image


def test_small_gaps_are_copied_with_what_stands_around_them(page_map, memory, image):
    restorer = Restorer(memory, memoryview(image), UsualPages(SIZE), page_map)
    for _ in range(2):
        write(memory, [3, 5, 8])
        restorer.restore()
    assert written(page_map, memory) == [3, 4, 5, 8]
    assert memory.view() == image


def test_instances_of_an_image_learn_from_each_other(page_map, make_memory, image):
    usual = UsualPages(SIZE)
    restorers = []
    for _ in range(3):
        memory = make_memory()
        restorers.append((memory, Restorer(memory, memoryview(image), usual, page_map)))
    for memory, restorer in restorers:
        write(memory, [9])
        restorer.restore()
        assert memory.view() == image
    assert [written(page_map, memory) for memory, _ in restorers] == [[], [9], [9]]


def test_what_is_copied_is_limited(page_map, memory, image, monkeypatch):
    monkeypatch.setattr(restoring, "USUAL_BYTES_MAX", 4 * PAGE_BYTES)
    restorer = Restorer(memory, memoryview(image), UsualPages(SIZE), page_map)
    for _ in range(3):
        write(memory, range(0, PAGES, 4))
        restorer.restore()
    assert written(page_map, memory) == []
    assert memory.view() == image


class CountedMap:
    """A page map that counts how often it is read."""

    def __init__(self, page_map):
        self.reads, self._page_map = 0, page_map

    def written(self, base, pages):
        self.reads += 1
        return self._page_map.written(base, pages)


def test_the_page_map_is_read_only_after_runs_with_page_faults(page_map, memory, image):
    counted = CountedMap(page_map)
    restorer = Restorer(memory, memoryview(image), UsualPages(SIZE), counted)
    for _ in range(3):
        write(memory, [3])
        restorer.restore()
    reads = counted.reads
    for _ in range(20):
        restorer.begin()
        write(memory, [3])
        restorer.restore()
        assert memory.view() == image
    assert counted.reads - reads < 10
    reads = counted.reads
    restorer.begin()
    write(memory, [50])
    restorer.restore()
    assert counted.reads == reads + 1
    assert memory.view() == image


def test_a_run_on_another_thread_than_its_beginning_reads_the_page_map(page_map, memory, image):
    restorer = Restorer(memory, memoryview(image), UsualPages(SIZE), page_map)
    restorer.begin()
    thread = threading.Thread(target=write, args=(memory, [9, 11]))
    thread.start()
    thread.join()
    other = threading.Thread(target=restorer.restore)
    other.start()
    other.join()
    assert memory.view() == image


@pytest.mark.parametrize("by_host", [False, True])
def test_the_first_write_of_a_page_is_a_fault_of_the_thread(memory, by_host):
    view = memory.view()
    read, write_end = os.pipe()
    os.write(write_end, bytes(PAGES))
    assert sum(view) > 0  # every page is there to be read
    for page in range(PAGES):
        place = view[page * PAGE_BYTES : page * PAGE_BYTES + 1]
        before = thread_faults()
        if by_host:
            os.readv(read, [place])
        else:
            place[0] = 7
        assert thread_faults() != before
    os.close(read)
    os.close(write_end)


def test_memory_that_has_grown_is_not_restored(page_map, memory, image):
    restorer = Restorer(memory, memoryview(image), UsualPages(SIZE), page_map)
    memory.grow(SIZE + PAGE_BYTES)
    assert not restorer.restore()


class Instance:
    def __init__(self, own_bytes=1):
        self.own_bytes, self.is_closed = own_bytes, False

    def close(self):
        assert not self.is_closed
        self.is_closed = True


def test_the_instance_that_waited_shortest_is_taken_and_only_once():
    kept, one, two = KeptInstances(), Instance(), Instance()
    kept.give("a", one)
    kept.give("a", two)
    assert kept.take("b") is None
    assert [kept.take("a") for _ in range(3)] == [two, one, None]
    assert not one.is_closed


def test_the_least_recently_used_instances_go_when_there_are_too_many():
    kept, instances = KeptInstances(instances_max=2), [Instance() for _ in range(3)]
    for number, instance in enumerate(instances):
        kept.give(str(number), instance)
    assert [instance.is_closed for instance in instances] == [True, False, False]
    kept.give("1", kept.take("1"))
    kept.give("3", Instance())
    assert [instance.is_closed for instance in instances] == [True, False, True]
    assert len(kept) == 2


def test_instances_go_when_they_take_too_much_memory():
    kept, small, large = KeptInstances(bytes_max=10), Instance(6), Instance(11)
    kept.give("a", small)
    kept.give("b", large)
    assert small.is_closed
    assert large.is_closed
    assert len(kept) == 0
    kept.give("c", Instance(10))
    assert len(kept) == 1


def test_all_instances_of_an_image_are_freed_or_all():
    kept, instances = KeptInstances(), [Instance() for _ in range(4)]
    for image, instance in zip("aabc", instances, strict=True):
        kept.give(image, instance)
    kept.drop("a")
    assert [instance.is_closed for instance in instances] == [True, True, False, False]
    kept.close()
    assert all(instance.is_closed for instance in instances)
    assert len(kept) == 0
