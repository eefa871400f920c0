"""The HSM, Keys and Key Rotation resources: key pairs of tenants, and the keys that wrap them.

A tenant is a virtual node by its short hash, or `p2p`: the cluster.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import Body, Query, Request, Response
from pydantic import BeforeValidator

from host.domain.ascii_case import ascii_upper
from host.domain.errors import InvalidInputError, NotFoundError, RequestInvalidError
from host.domain.ids import ShortHash
from host.domain.refused import shown
from host.domain.x500 import MemberX500Name
from host.keys.csr import make_csr
from host.keys.errors import CsrInvalidError, KeyNotFoundError
from host.keys.schemes import X25519, find_scheme
from host.keys.sealing import schemes_of
from host.ports.keys import (
    HsmAssociation,
    KeyCategory,
    KeyInfo,
    KeyQuery,
)
from host.ports.keys import KeyOrder as PortOrder
from host.rest.operation import RawText, resource
from host.rest.pages import NEXT_HEADERS, next_link
from host.rest.parameters import (
    P2P_TENANT,
    Alias,
    Category,
    Count,
    Instant,
    KeyId,
    Scheme,
    Tenant,
    UpperCase,
)
from host.rest.services import RestServices, Services
from host.rest.wire import instant, wire

hsm_router = resource("HSM")
router = resource("Key Management")
certificate_router = resource("Certificate")

_HSM_ID = "SOFT"
_TAKE = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KeyCategoryInvalidError(InvalidInputError):
    """A key of this category cannot belong to this tenant."""

    code = "key-category-invalid"


class KeyOrder(StrEnum):
    """Orders of the list of keys."""

    NONE = "NONE"
    TIMESTAMP = "TIMESTAMP"
    CATEGORY = "CATEGORY"
    SCHEME_CODE_NAME = "SCHEME_CODE_NAME"
    ALIAS = "ALIAS"
    MASTER_KEY_ALIAS = "MASTER_KEY_ALIAS"
    EXTERNAL_ID = "EXTERNAL_ID"
    ID = "ID"
    TIMESTAMP_DESC = "TIMESTAMP_DESC"
    CATEGORY_DESC = "CATEGORY_DESC"
    SCHEME_CODE_NAME_DESC = "SCHEME_CODE_NAME_DESC"
    ALIAS_DESC = "ALIAS_DESC"
    MASTER_KEY_ALIAS_DESC = "MASTER_KEY_ALIAS_DESC"
    EXTERNAL_ID_DESC = "EXTERNAL_ID_DESC"
    ID_DESC = "ID_DESC"


_ORDERS: Mapping[str, PortOrder] = {
    "TIMESTAMP": PortOrder.CREATED,
    "CATEGORY": PortOrder.CATEGORY,
    "SCHEME_CODE_NAME": PortOrder.SCHEME,
    "ALIAS": PortOrder.ALIAS,
    "MASTER_KEY_ALIAS": PortOrder.MASTER_KEY_ALIAS,
    "ID": PortOrder.ID,
}
"""Keys have no external id here: this order is the order of storage."""


def _order(name: str) -> KeyOrder:
    try:
        return KeyOrder(ascii_upper(name))
    except ValueError as exc:
        raise RequestInvalidError(
            f"{shown(name)} is no order of keys; orders are {', '.join(KeyOrder)}"
        ) from exc


@wire
class HsmAssociationInfo:
    id: str
    hsm_id: str
    category: str
    deprecated_at: int
    master_key_alias: str | None = None


@wire
class KeyPairIdentifier:
    id: str


@wire
class KeyMetaData:
    key_id: str
    alias: str
    hsm_category: str
    scheme: str
    created: datetime
    master_key_alias: str | None = None


@wire
class GenerateCsrWrapperRequest:
    """`context_map` may name a `signatureSpec`."""

    x500_name: str
    context_map: dict[str, str] | None = None
    subject_alternative_names: list[str] | None = None


@hsm_router.get("/hsm/{tenantid}/{category}")
def get_hsm(tenantid: Tenant, category: Category, services: Services) -> HsmAssociationInfo:
    """Give the HSM that is assigned to a tenant for a category."""
    return _association(_assigned(services, tenant_of(services, tenantid), category))


@hsm_router.post("/hsm/soft/{tenantid}/{category}")
def post_soft_hsm(tenantid: Tenant, category: Category, services: Services) -> HsmAssociationInfo:
    """Assign the soft HSM to a tenant for a category; again: the same association."""
    tenant = tenant_of(services, tenantid)
    return _association(services.keys.assign_hsm(tenant, category))


@router.get("/key/{tenantid}", responses={200: {"headers": {"Link": NEXT_HEADERS["Link"]}}})
def get_keys(
    tenantid: Tenant,
    services: Services,
    request: Request,
    response: Response,
    *,
    skip: Annotated[Count, Query()] = 0,
    take: Annotated[int, Query(ge=0, le=1000)] = _TAKE,
    orderby: Annotated[KeyOrder, BeforeValidator(_order)] = KeyOrder.NONE,
    category: Annotated[str | None, UpperCase] = None,
    schemecodename: str | None = None,
    alias: str | None = None,
    masterkeyalias: str | None = None,
    createdafter: Instant | None = None,
    createdbefore: Instant | None = None,
    id: Annotated[list[str] | None, Query()] = None,  # noqa: A002  # Corda's name
) -> Mapping[str, KeyMetaData]:
    """List key pairs of a tenant by key id; with `id` every other filter is ignored."""
    query = KeyQuery(
        order=_ORDERS.get(orderby.removesuffix("_DESC"), PortOrder.CREATED),
        is_descending=orderby.endswith("_DESC"),
        skip=skip,
        # One more, which shows whether there is a next page.
        limit=take + 1,
    )
    if id is not None:
        query = replace(query, ids=tuple(id) or ("",))
    else:
        query = replace(
            query,
            category=category,
            scheme=schemecodename,
            alias=alias,
            master_key_alias=masterkeyalias,
            created_from=None if createdafter is None else _from_ms(createdafter),
            created_to=None if createdbefore is None else _to_ms(createdbefore),
        )
    keys = services.keys.query(tenant_of(services, tenantid), query)
    if 0 < take < len(keys):
        response.headers["Link"] = next_link(request, "skip", str(skip + take))
    return {key.key_id: _metadata(key) for key in keys[:take]}


@router.post("/key/{tenantid}/alias/{alias}/category/{hsmcategory}/scheme/{scheme}")
def post_key(
    tenantid: Tenant, alias: Alias, hsmcategory: Category, scheme: Scheme, services: Services
) -> KeyPairIdentifier:
    """Make a key pair for a tenant."""
    tenant = tenant_of(services, tenantid)
    if tenant == P2P_TENANT and hsmcategory is KeyCategory.SESSION_INIT:
        raise KeyCategoryInvalidError(
            f"Keys of category {hsmcategory} belong to virtual nodes, not to {P2P_TENANT}."
        )
    _assigned(services, tenant, hsmcategory)
    return KeyPairIdentifier(id=services.keys.create(tenant, hsmcategory, alias, scheme).key_id)


@router.get("/key/{tenantid}/schemes/{hsmcategory}")
def get_schemes(tenantid: Tenant, hsmcategory: Category, services: Services) -> list[str]:
    """List the key schemes that a tenant may have made for a category."""
    _assigned(services, tenant_of(services, tenantid), hsmcategory)
    return list(schemes_of(hsmcategory))


@router.get("/key/{tenantid}/{keyid}", response_class=RawText)
def get_key(tenantid: Tenant, keyid: KeyId, services: Services) -> RawText:
    """Give a public key of a tenant in PEM."""
    return RawText(key_of(services, tenant_of(services, tenantid), keyid).public_key)


@certificate_router.post("/certificate/{tenantid}/{keyid}", response_class=RawText)
def post_csr(
    tenantid: Tenant,
    keyid: KeyId,
    request: Annotated[GenerateCsrWrapperRequest, Body(alias="generateCsrWrapperRequest")],
    services: Services,
) -> RawText:
    """Make a certificate signing request for a key of a tenant, in PEM."""
    tenant = tenant_of(services, tenantid)
    key = key_of(services, tenant, keyid)
    if key.category is KeyCategory.SESSION_INIT and tenant != P2P_TENANT:
        member = services.virtual_node(tenant).holding.x500_name
        if MemberX500Name.parse(request.x500_name) != member:
            raise CsrInvalidError(
                f"The certificate of a session key is for {member}, not for {request.x500_name}."
            )
    if key.scheme == X25519:
        raise CsrInvalidError(f"Key {keyid} is of scheme {X25519}, which signs no request.")
    spec = (request.context_map or {}).get("signatureSpec") or find_scheme(key.scheme).default_spec
    return RawText(
        make_csr(
            public_key=key.public_key,
            x500_name=request.x500_name,
            alternative_names=request.subject_alternative_names or (),
            spec=spec,
            sign=lambda data: services.keys.sign(tenant, key.public_key, data, spec),
        )
    )


def key_of(services: RestServices, tenant: str, key_id: ShortHash) -> KeyInfo:
    """The key of a tenant by its id.

    Raises:
        KeyNotFoundError: there is no such key.
    """
    for key in services.keys.query(tenant, KeyQuery(ids=(key_id,))):
        return key
    raise KeyNotFoundError(f"Tenant {tenant} has no key {key_id}.", kind="key", named=key_id)


def tenant_of(services: RestServices, tenant: str) -> str:
    return tenant if tenant == P2P_TENANT else services.virtual_node(tenant).holding.short_hash


def _assigned(services: RestServices, tenant: str, category: KeyCategory) -> HsmAssociation:
    found = services.keys.hsm(tenant, category)
    if found is None and (tenant, category) == (P2P_TENANT, KeyCategory.TLS):
        # As in Corda, whose steps for the cluster's TLS key assign none.
        return services.keys.assign_hsm(tenant, category)
    if found is None:
        raise NotFoundError(
            f"Tenant {tenant} has no HSM for category {category}; assign one first.",
            kind="HSM association",
            named=f"{tenant} {category}",
        )
    return found


def _association(found: HsmAssociation) -> HsmAssociationInfo:
    return HsmAssociationInfo(
        id=found.association_id, hsm_id=_HSM_ID, category=found.category, deprecated_at=0
    )


def _metadata(key: KeyInfo) -> KeyMetaData:
    return KeyMetaData(
        key_id=key.key_id,
        alias=key.alias,
        hsm_category=key.category,
        scheme=key.scheme,
        created=instant(key.created_at),
        master_key_alias=key.master_key_alias,
    )


def _from_ms(at: datetime) -> int:
    """The first whole millisecond that is not before `at`."""
    return -(-_microseconds(at) // 1000)


def _to_ms(at: datetime) -> int:
    """The last whole millisecond that is not after `at`."""
    return _microseconds(at) // 1000


def _microseconds(at: datetime) -> int:
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
