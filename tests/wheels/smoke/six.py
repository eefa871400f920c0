import six
from six.moves import range as sequence
from six.moves.urllib.parse import urlencode


def check():
    assert six.PY3  # noqa: YTT202  # the name under test
    assert not six.PY2
    assert list(sequence(3)) == [0, 1, 2]
    assert urlencode({"a": "b c"}) == "a=b+c"
    assert six.ensure_text(b"abc") == "abc"
    assert dict(six.iteritems({1: 2})) == {1: 2}
