from sortedcontainers import SortedDict, SortedKeyList, SortedList, SortedSet


def check():
    book = SortedList([3, 1, 2])
    book.add(0)
    assert list(book) == [0, 1, 2, 3]
    assert book.bisect_left(2) == 2
    levels = SortedDict({101: "ask", 99: "bid"})
    assert levels.peekitem(0) == (99, "bid")
    assert list(levels.irange(100, 200)) == [101]
    assert SortedKeyList([1, 2], key=lambda number: -number)[0] == 2
    assert SortedSet([2, 1, 2])[0] == 1
