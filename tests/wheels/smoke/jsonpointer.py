import jsonpointer


def check():
    document = {"trades": [{"a/b": 1}]}
    assert jsonpointer.resolve_pointer(document, "/trades/0/a~1b") == 1
    assert jsonpointer.set_pointer(document, "/trades/0/c", 2, inplace=False)["trades"][0]["c"] == 2
    assert jsonpointer.resolve_pointer(document, "/none", "absent") == "absent"
