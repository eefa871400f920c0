"""The roles that Corda's command line makes, as permissions of this host's operations. Pure.

Each holds for every version of the interface. Names are Corda's; `FlowExecutorRole` is of one
virtual node, which its name ends with.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_VERSION = "v[_a-zA-Z0-9]{1,30}"
_UUID = "[-0-9a-f]{36}"
_HASH = "[0-9A-F]{12}"
_ALIAS = "[-._a-zA-Z0-9]{1,255}"
_PARAMETERS = {
    "alias": _ALIAS,
    "category": "[A-Z_]{1,50}",
    "checksum": _HASH,
    "flow": "[-._A-Za-z0-9]{1,242}",
    "id": _UUID,
    "key": _HASH,
    "login": "[-._@a-z0-9]{3,255}",
    "node": _HASH,
    "other": _UUID,
    "request": "[-._A-Za-z0-9]{1,255}",
    "scheme": r"CORDA\.[-.A-Z0-9]{3,30}",
    "state": "[A-Z]{1,50}",
    "tenant": f"({_HASH}|p2p)",
    "usage": "[-a-z0-9]{1,50}",
}
"""Regular expressions of the values of parameters, in their canonical form."""
_START_FLOW = "StartFlow:[._$a-zA-Z0-9]{1,250}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRole:
    """A role that a command makes.

    Attributes:
        name: of the role.
        permissions: strings of its ALLOW permissions, and the virtual node of each, if it has one.
    """

    name: str
    permissions: Sequence[tuple[str, str | None]]


_USER_ADMIN = (
    "POST /user",
    "GET /user/{login}",
    "GET /user/{login}/permissionsummary",
    "POST /user/otheruserpassword",
    "POST /user/selfpassword",
    "PUT /user/{login}/role/{id}",
    "DELETE /user/{login}/role/{id}",
    "DELETE /user/{login}",
    "POST /permission",
    "POST /permission/bulk",
    "GET /permission?",
    "GET /permission/{id}",
    "GET /role",
    "POST /role",
    "GET /role/{id}",
    "PUT /role/{id}/permission/{other}",
    "DELETE /role/{id}/permission/{other}",
)
_VNODE_CREATOR = (
    "POST /user/selfpassword",
    "GET /cpi",
    "POST /cpi",
    "GET /cpi/status/{request}",
    "POST /virtualnode",
    "GET /virtualnode",
    "GET /virtualnode/{node}",
    "GET /virtualnode/status/{request}",
    "PUT /virtualnode/{node}/state/{state}",
    "PUT /virtualnode/{node}/cpi/{checksum}",
    "PUT /certificate/cluster/{usage}",
    "GET /certificate/cluster/{usage}",
    "GET /certificate/cluster/{usage}/{alias}",
    "POST /certificate/{tenant}/{key}",
    "GET /hsm/{tenant}/{category}",
    "POST /hsm/soft/{tenant}/{category}",
    "POST /key/{tenant}/alias/{alias}/category/{category}/scheme/{scheme}",
    "GET /key/{tenant}",
    "GET /key/{tenant}/schemes/{category}",
    "GET /key/{tenant}/{key}",
    "POST /membership/{node}",
    "GET /membership/{node}/{id}",
    "GET /members/{node}",
    "GET /mgm/{node}/info",
    "PUT /network/setup/{node}",
    "GET /flow/{node}",
    "GET /flow/{node}/{flow}",
)
_CORDA_DEVELOPER = (
    "POST /user/selfpassword",
    "POST /maintenance/virtualnode/forcecpiupload",
    "POST /maintenance/virtualnode/{node}/vault-schema/force-resync",
)
_FLOW_EXECUTOR = (
    "POST /flow/{node}",
    "GET /flow/{node}",
    "GET /flow/{node}/{flow}",
    "GET /flowclass/{node}",
)


def cluster_roles() -> Mapping[str, StockRole]:
    """The roles that are not of one virtual node, by the name of the command that makes each."""
    return {
        command: StockRole(name=name, permissions=[(_pattern(each), None) for each in operations])
        for command, name, operations in (
            ("user-admin", "UserAdminRole", _USER_ADMIN),
            ("vnode-creator", "VNodeCreatorRole", _VNODE_CREATOR),
            ("corda-developer", "CordaDeveloperRole", _CORDA_DEVELOPER),
        )
    }


def flow_executor(node: str) -> StockRole:
    """The role that starts any flow of one virtual node, and sees its flows.

    Args:
        node: its short hash.
    """
    patterns = [_pattern(each, {"node": node}) for each in _FLOW_EXECUTOR]
    return StockRole(
        name=f"FlowExecutorRole-{node}",
        permissions=[(_START_FLOW, node), *((pattern, None) for pattern in patterns)],
    )


def _pattern(operation: str, known: Mapping[str, str] | None = None) -> str:
    """The permission string of `METHOD /path/{parameter}`; a final `?` stands for any query."""
    method, _, template = operation.partition(" ")
    path, has_query, _ = template.partition("?")
    values = {**_PARAMETERS, **(known or {})}
    filled = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)
    return f"{method}:/api/{_VERSION}{filled}" + (r"\?.*" if has_query else "")
