"""Virtual nodes of a running host, as the user of a command names them."""

from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.ids import ShortHash, parse_short_hash
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.tools.cluster_facts import ClusterAnswerError
from host.tools.host_client import HostClient


def node_named(client: HostClient, text: str) -> ShortHash:
    """The short hash of a virtual node, given as short hash or X.500 name.

    Raises:
        InvalidInputError: the text is neither.
        NotFoundError: none, or more than one, has the name.
        HostError: the host refuses the list of its nodes; see `HostClient.get`.
    """
    if "=" not in text:
        return parse_short_hash(text)
    try:
        name = str(MemberX500Name.parse(text))
    except InvalidX500NameError as error:
        raise InvalidInputError(error.message) from error
    holdings = [
        each.get("holdingIdentity") for each in client.items("/virtualnode", "virtualNodes")
    ]
    if not all(isinstance(each, dict) for each in holdings):
        raise ClusterAnswerError("the host lists virtual nodes without holding identities")
    found = [str(each["shortHash"]) for each in holdings if each and each.get("x500Name") == name]
    if len(found) != 1:
        reason = f"{len(found)} virtual nodes are named {name}"
        raise NotFoundError(
            f"{reason}: {', '.join(found) or 'none is on this host'}",
            kind="virtual node",
            named=name,
        )
    return parse_short_hash(found[0])
