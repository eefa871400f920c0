"""Users and roles: who may do what. As in Corda there is no list of users: one is named."""

from collections.abc import Mapping, Sequence

from host.console.view import Page, View, items, one, text
from host.domain.json import JsonObject

_PERMISSIONS_MAX = 1000


async def show(view: View) -> Page:
    login = view.query("login", most=255).strip()
    roles, allowed, denied = await view.all(
        (("role",), {}),
        (("permission",), {"limit": _PERMISSIONS_MAX, "permissiontype": "ALLOW"}),
        (("permission",), {"limit": _PERMISSIONS_MAX, "permissiontype": "DENY"}),
    )
    strings = {
        text(each, "id"): f"{text(each, 'permissionType')} {text(each, 'permissionString')}"
        for answer in (allowed, denied)
        for each in items(answer, "")
    }
    return view.render(
        "people",
        section="people",
        login=login,
        answer=roles,
        roles=[_role(role, strings) for role in items(roles, "")],
        may_create=view.may("POST", "/user"),
    )


async def show_one(view: View) -> Page:
    login = view.path("login")
    found, summary, roles = await view.all(
        (("user", login), {}), (("user", login, "permissionsummary"), {}), (("role",), {})
    )
    if not found.is_ok:
        return view.render("refused", http_status=found.status, answer=found, section="people")
    user = one(found)
    names = {text(role, "id"): text(role, "roleName") for role in items(roles, "")}
    held = [text(r, "roleId") for r in items(found, "roleAssociations")]
    return view.render(
        "person",
        section="people",
        user=user,
        login=login,
        held=[(each, names.get(each, each)) for each in held],
        others=[(i, n) for i, n in sorted(names.items(), key=lambda p: p[1]) if i not in held],
        summary=summary,
        permissions=items(summary, "permissions"),
        may_assign=view.may("PUT", "/user/{login}/role/{role}", login=login, role="0"),
        may_remove=view.may("DELETE", "/user/{login}/role/{role}", login=login, role="0"),
        may_set_password=view.may("POST", "/user/otheruserpassword"),
    )


def _role(role: JsonObject, strings: Mapping[str, str]) -> tuple[str, Sequence[str]]:
    found = role.get("permissions")
    listed = found if isinstance(found, Sequence) and not isinstance(found, str) else []
    ids = [text(each, "id") for each in listed if isinstance(each, Mapping)]
    return text(role, "roleName"), [strings.get(each, each) for each in ids]
