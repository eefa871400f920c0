"""`GET /<resource>/getprotocolversion`: the platform version, as 5.1 and 5.2 ask for it."""

from collections.abc import Callable

from fastapi import APIRouter

from host.rest.operation import resource

PLATFORM_VERSION = 50_200
"""The Corda platform version whose interfaces this host offers."""

RESOURCES = {
    "certificate": "Certificate",
    "config": "Configuration",
    "cpi": "CPI",
    "flow": "Flow Management",
    "flowclass": "Flow Info",
    "hello": "Hello Rest",
    "hsm": "HSM",
    "key": "Key Management",
    "maintenance/virtualnode": "Virtual Node Maintenance",
    "members": "Member Lookup",
    "membership": "Member Registration",
    "mgm": "MGM",
    "mgmadmin": "MGM Admin",
    "network": "Network",
    "permission": "RBAC Permission",
    "role": "RBAC Role",
    "user": "RBAC User",
    "virtualnode": "Virtual Node",
    "wrappingkey": "Key Rotation",
}
"""The resources that this host serves, and their tags in the document."""

router = APIRouter()


def _answer(name: str) -> Callable[[], int]:
    def get_protocol_version() -> int:
        return PLATFORM_VERSION

    get_protocol_version.__doc__ = f"Give the platform version of the resource `{name}`."
    return get_protocol_version


for _name, _tag in RESOURCES.items():
    _of_resource = resource(_tag, open_to_all=True)
    _of_resource.get(f"/{_name}/getprotocolversion")(_answer(_name))
    router.routes.extend(_of_resource.routes)
