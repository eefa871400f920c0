"""The shape of a PEM certificate in a group policy, checked in linear time.

Corda's schema has a regular expression for it that backtracks for seconds on ordinary input; this
is the same language by a scan.
"""

_BEGIN = "BEGIN CERTIFICATE"
_END = "END CERTIFICATE"
_LINE_ENDS = ("\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029")
_BODY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\\\r\n")
_AFTER_PADDING = frozenset("\\n\r\n")


def is_pem_certificate(text: str) -> bool:
    """Whether `text` is one certificate in PEM, as Corda's group policy schema has it."""
    for line_end in _LINE_ENDS:
        if text.endswith(line_end):
            text = text.removesuffix(line_end)
            break
    start = _label_end(text, _BEGIN)
    if start is None:
        return False
    # The first dash after the label starts the closing label: the body holds none. Without a body,
    # the dashes between the labels belong to both.
    close = text.find("-", start)
    if text.startswith(_END, start):
        if text[start - 2] != "-":
            return False
        close = start - 1
    if close < 0 or _label_end(text[close:], _END) != len(text) - close:
        return False
    return _is_body(text[start:close])


def _is_body(body: str) -> bool:
    data, padding, rest = body.partition("=")
    if not padding:
        return _BODY.issuperset(data)
    rest = rest.removeprefix("=")
    return _BODY.issuperset(data) and _AFTER_PADDING.issuperset(rest)


def _label_end(text: str, label: str) -> int | None:
    """The end of the dashes, label and dashes at the start of `text`; None if there are none."""
    dashes = len(text) - len(text.lstrip("-"))
    if not dashes or not text.startswith(label, dashes):
        return None
    after = text[dashes + len(label) :]
    closing = len(after) - len(after.lstrip("-"))
    return dashes + len(label) + closing if closing else None
