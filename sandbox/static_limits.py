"""Static limits on a component's bytes, checked before any compiler sees them."""

from dataclasses import dataclass

from sandbox.errors import ComponentRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Bounds of one kind of component."""

    name: str
    bytes_max: int


PLAIN = Profile(name="plain", bytes_max=16 * 1024 * 1024)


def check_static(wasm: bytes, profile: Profile) -> None:
    """Refuse bytes that break a limit of `profile`."""
    if len(wasm) > profile.bytes_max:
        raise ComponentRefusedError(f"{len(wasm)} bytes, at most {profile.bytes_max}")
