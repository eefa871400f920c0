"""Records operations that change the host in the administrative log, before and after them.

Every operation that does not only read is an act. `NAMED` lists the members of its body that are
recorded: a body may hold secrets, so no other member is recorded.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from fastapi import Request, Response

from host.access import NotAuthenticatedError
from host.domain.json import JsonValue
from host.nodes.audit_log.administrative import Act, AdministrativeLog, Outcome, Refusal
from host.nodes.audit_log.administrative.acts import SUCCEEDED
from host.rest.authentication import SIGNED_IN, basic_credentials
from host.rest.errors import answer_of
from host.rest.node_turns import outside_turn
from host.rest.requester import requester_of
from host.rest.versions import API_BASES

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READS = frozenset({("POST", "/hello")})
"""Operations that change nothing although their method suggests it."""

_FLOW = ("clientRequestId", "flowClassName")
_MEMBER = ("x500Name", "serialNumber", "reason")
_RULE = ("ruleRegex", "ruleLabel")
_MGM = "/mgm/{holdingidentityshorthash}"
WHOLE = ("*",)
"""All members of a body that holds no secret and whose names are the client's."""
NAMED: Mapping[tuple[str, str], Sequence[str]] = {
    ("POST", "/flow/{holdingidentityshorthash}"): _FLOW,
    ("POST", f"{_MGM}/activate"): _MEMBER,
    ("POST", f"{_MGM}/approval/rules"): _RULE,
    ("POST", f"{_MGM}/approval/rules/preauth"): _RULE,
    ("POST", f"{_MGM}/decline/{{requestid}}"): ("reason",),
    ("POST", f"{_MGM}/group-parameters"): WHOLE,
    ("POST", f"{_MGM}/preauthtoken"): ("ownerX500Name", "ttl", "remarks"),
    ("POST", f"{_MGM}/suspend"): _MEMBER,
    ("PUT", "/config"): ("section", "version"),
    ("PUT", f"{_MGM}/preauthtoken/revoke/{{preauthtokenid}}"): ("remarks",),
    ("POST", "/group"): WHOLE,
    ("POST", "/permission"): WHOLE,
    ("POST", "/permission/bulk"): WHOLE,
    ("POST", "/role"): WHOLE,
    ("POST", "/user/{loginname}/property"): WHOLE,
    ("POST", "/user"): ("loginName", "fullName", "enabled", "parentGroup", "passwordExpiry"),
    ("POST", "/user/otheruserpassword"): ("username",),
    ("POST", "/virtualnode"): ("cpiFileChecksum", "x500Name"),
    ("PUT", "/virtualnode/{holdingidentityshorthash}/quota"): ("overrides",),
}
"""Members of bodies that are recorded, by method and path."""
_OF_FLOWS = frozenset(
    {
        ("POST", "/flow/{holdingidentityshorthash}"),
        ("POST", "/nodes/{holdingidentityshorthash}/flows/{flowclassname}"),
    }
)
_RESULTS = ("requestId", "id", "registrationId", "clientRequestId", "keyId", "flowId", "ruleId")
"""Members of answers that identify what was created, or what to poll."""
_RESULT_BYTES_MAX = 64 * 1024
_CLAIMED_CHARACTERS_MAX = 64

_Handler = Callable[[Request], Awaitable[Response]]


def is_act(method: str, template: str) -> bool:
    """Whether an operation changes the host.

    Args:
        method: the HTTP method.
        template: its path below the version of the interface, with names for its parameters.
    """
    return method not in SAFE_METHODS and (method, template) not in READS


class ActRecorder:
    """Records one request of an operation that is an act."""

    def __init__(self, log: AdministrativeLog, request: Request, template: str) -> None:
        base = request.scope["root_path"]
        self._log = log
        self._name = (request.method, template if base in API_BASES else f"{base}{template}")
        who = requester_of(request.scope)
        self._act = Act(
            source="console" if SIGNED_IN in request.scope else "rest",
            user="",
            address=who.address,
            request_id=who.request_id,
            method=request.method,
            path=request.scope["path"],
            operation=self._name[1],
            is_flow=self._name in _OF_FLOWS,
        )

    def refused(self, request: Request, error: Exception) -> None:
        """Record that the request was refused before anything was done."""
        status, code = answer_of(error)
        user = requester_of(request.scope).user or _claimed(request)
        act = replace(self._act, user=user)
        self._log.refused(Refusal(act=act, status=status.value, code=code))

    async def done(
        self, request: Request, canonical: str, body: JsonValue, handle: _Handler
    ) -> Response:
        """Write the entry of the intent, handle the request, then write the entry of the outcome.

        Args:
            request: in the form that its handler expects.
            canonical: `METHOD:<path>?<query>`.
            body: its JSON; None if the body is not JSON.
            handle: performs the operation.

        Raises:
            ActNotRecordedError: the intent cannot be written; nothing was done.
        """
        act = replace(
            self._act,
            user=requester_of(request.scope).user or "",
            path=canonical.partition(":")[2],
            parameters=_chosen(body, NAMED.get(self._name, ())),
        )
        number = await outside_turn(request.scope, self._log.begin(act))
        ended = Outcome(status=500, code="internal-error")
        try:
            response = await handle(request)
            ended = Outcome(
                status=response.status_code, code=SUCCEEDED, result=_result_of(response)
            )
        except Exception as error:
            status, code = answer_of(error)
            ended = Outcome(status=status.value, code=code)
            raise
        finally:
            self._log.end(act, number, ended)
        return response


def _chosen(body: JsonValue, names: Sequence[str]) -> Mapping[str, JsonValue]:
    values = body if isinstance(body, dict) else {}
    if names == WHOLE:
        return values
    if len(values) == 1 and names and not set(values) & set(names):
        # A body may be wrapped in one member that is named after its parameter.
        (inner,) = values.values()
        values = inner if isinstance(inner, dict) else {}
    return {name: values[name] for name in names if name in values}


def _result_of(response: Response) -> Mapping[str, JsonValue]:
    body = getattr(response, "body", b"")
    if not isinstance(body, bytes) or not 0 < len(body) <= _RESULT_BYTES_MAX:
        return {}
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(answer, dict):
        return {}
    return {name: answer[name] for name in _RESULTS if isinstance(answer.get(name), str)}


def _claimed(request: Request) -> str:
    """The login name that a request claims; empty if there is none."""
    try:
        login_name, _ = basic_credentials(request.headers.getlist("authorization"))
    except NotAuthenticatedError:
        return ""
    return login_name[:_CLAIMED_CHARACTERS_MAX]
