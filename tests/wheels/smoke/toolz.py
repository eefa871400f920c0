import toolz
from toolz import curried


def check():
    assert toolz.groupby(lambda word: word[0], ["ab", "ac", "b"]) == {"a": ["ab", "ac"], "b": ["b"]}
    assert toolz.pipe(
        [1, 2, 3], curried.map(lambda n: n * 2), curried.filter(lambda n: n > 2), list
    ) == [4, 6]
    assert toolz.assoc_in({}, ["a", "b"], 1) == {"a": {"b": 1}}
    assert toolz.merge_with(sum, {"a": 1}, {"a": 2}) == {"a": 3}
