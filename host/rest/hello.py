"""The Hello Rest resource: checks the connection and the caller's credentials."""

from host.rest.operation import RawText, resource
from host.rest.services import Caller

router = resource("Hello Rest")


@router.post("/hello", response_class=RawText)
def post_hello(addressee: str, caller: Caller) -> RawText:
    """Produce a greeting phrase for the addressee."""
    return RawText(f"Hello, {addressee}! (from {caller.login_name})")
