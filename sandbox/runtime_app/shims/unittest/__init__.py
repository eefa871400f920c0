"""`unittest` of a sandbox: names for packages that bring helpers for tests; tests do not run."""

from collections.abc import Callable
from typing import Any


class SkipTest(Exception):
    """A test that is left out."""


class TestCase:
    """A test; can be derived from, and refuses to be made."""


class TestSuite:
    """Several tests; refused."""


class TestLoader:
    """Finds tests; refused."""


class TextTestRunner:
    """Runs tests; refused."""


def main() -> None:
    """Run tests; refused."""


def skip(_reason: str) -> Callable[[Any], Any]:
    """Decorator of a test that is left out."""
    return lambda test: test


def skipIf(_condition: object, _reason: str) -> Callable[[Any], Any]:
    """Decorator of a test that is left out under a condition."""
    return skip("")


def expectedFailure(test: Any) -> Any:
    """Decorator of a test that fails."""
    return test


skipUnless = skipIf
