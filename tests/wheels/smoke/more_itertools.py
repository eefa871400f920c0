from more_itertools import chunked, first, one, partition, windowed


def check():
    assert list(chunked(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(windowed([1, 2, 3], 2)) == [(1, 2), (2, 3)]
    odd, even = partition(lambda number: number % 2 == 0, range(5))
    assert (list(odd), list(even)) == ([1, 3], [0, 2, 4])
    assert first([], "none") == "none"
    assert one([7]) == 7
