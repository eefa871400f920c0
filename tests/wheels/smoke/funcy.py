import funcy


def check():
    assert funcy.chunks(2, [1, 2, 3]).__next__() == [1, 2]
    assert funcy.lcat([[1], [2]]) == [1, 2]
    assert funcy.group_by(len, ["a", "bb", "c"])[1] == ["a", "c"]
    assert funcy.compose(str, abs)(-1) == "1"
    assert funcy.get_in({"a": [5]}, ["a", 0]) == 5
    calls = []

    @funcy.memoize
    def square(number):
        calls.append(number)
        return number * number

    assert (square(3), square(3), calls) == (9, 9, [3])
