import jsonpatch


def check():
    before, after = {"a": [1, 2], "b": 1}, {"a": [1, 3]}
    patch = jsonpatch.make_patch(before, after)
    assert patch.apply(before) == after
    assert jsonpatch.JsonPatch.from_string(str(patch)) == patch
