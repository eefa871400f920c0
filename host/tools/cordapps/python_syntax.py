"""What Python says of source that it cannot parse, with the versions that matter."""

import platform
import sys

from sandbox.module_table import PYTHON_VERSION

_OF_NEWER = (
    "invalid syntax",
    "expected '('",
    "expected ':'",
    "f-string",
    "multiple exception types",
    "unterminated string literal",
)
"""How messages begin that older versions have for syntax that newer ones know."""
_SANDBOX = tuple(int(part) for part in PYTHON_VERSION.split(".")[:2])


def syntax_problem(refused: BaseException) -> str:
    """The message of `ast.parse`'s error.

    Sources are read by the Python that builds, and run by the sandbox's: syntax that only newer
    versions have, such as type parameters (PEP 695), is refused where the former is older.
    """
    message = str(getattr(refused, "msg", None) or refused)
    if sys.version_info[:2] >= _SANDBOX or not message.startswith(_OF_NEWER):
        return message
    sandbox = ".".join(map(str, _SANDBOX))
    return (
        f"{message} for the Python {platform.python_version()} that builds (the sandbox has "
        f"Python {sandbox}: syntax that is new since needs a build with Python {sandbox})"
    )
