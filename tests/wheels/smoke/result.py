import contextlib

from result import Err, Ok, UnwrapError, as_result, is_ok


def check():
    @as_result(ValueError)
    def amount(text: str) -> int:
        return int(text)

    assert amount("5") == Ok(5)
    assert is_ok(amount("5"))
    assert amount("x").is_err()
    assert amount("5").map(lambda n: n * 2).unwrap() == 10
    assert amount("x").unwrap_or(0) == 0
    match amount("x"):
        case Err(ValueError()):
            pass
        case _:
            raise AssertionError("an error was taken")
    with contextlib.suppress(UnwrapError):
        Err("no").unwrap()
