"""Virtual nodes of a running host, as the user of a command names them."""

from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.ids import InvalidShortHashError, ShortHash, parse_short_hash
from host.domain.refused import what_there_is
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.tools.client.cluster_facts import ClusterAnswerError
from host.tools.client.host_client import HostClient


def node_named(client: HostClient, text: str) -> ShortHash:
    """The short hash of a virtual node, given as short hash or X.500 name.

    Raises:
        InvalidInputError: the text is neither.
        NotFoundError: none, or more than one, has the name.
        HostError: the host refuses the list of its nodes; see `HostClient.get`.
    """
    if "=" not in text:
        try:
            return parse_short_hash(text)
        except InvalidShortHashError as refused:
            raise InvalidShortHashError(
                f"{refused.message}, and no X.500 name such as 'O=Alice, L=London, C=GB'"
            ) from None
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
    if not found:
        names = sorted({repr(each.get("x500Name")) for each in holdings if each})
        hint = what_there_is(repr(name), names)
        raise NotFoundError(
            f"no virtual node is named {name!r}; {hint}", kind="virtual node", named=name
        )
    if len(found) > 1:
        raise NotFoundError(
            f"{len(found)} virtual nodes are named {name}, so give a short hash:"
            f" {', '.join(found)}",
            kind="virtual node",
            named=name,
        )
    return parse_short_hash(found[0])
