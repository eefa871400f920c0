from slugify import slugify


def check():
    assert slugify("Zürich & Söhne AG") == "zurich-sohne-ag"
    assert slugify("a b c d", max_length=5, separator="_") == "a_b_c"
