"""`GET /<resource>/getprotocolversion`: the platform version, as 5.1 and 5.2 ask for it."""

from collections.abc import Callable

from host.rest.operation import resource

PLATFORM_VERSION = 50_200
"""The Corda platform version whose interfaces this host offers."""

RESOURCES = (
    "certificate",
    "config",
    "cpi",
    "flow",
    "flowclass",
    "hello",
    "hsm",
    "key",
    "maintenance/virtualnode",
    "members",
    "membership",
    "mgm",
    "mgmadmin",
    "network",
    "permission",
    "role",
    "user",
    "virtualnode",
    "wrappingkey",
)
"""The resources that this host serves."""

router = resource("Protocol version", open_to_all=True)


def _answer(name: str) -> Callable[[], int]:
    def get_protocol_version() -> int:
        return PLATFORM_VERSION

    get_protocol_version.__doc__ = f"Give the platform version of the resource `{name}`."
    return get_protocol_version


for _name in RESOURCES:
    router.get(f"/{_name}/getprotocolversion", name=f"{_name}_protocol_version")(_answer(_name))
