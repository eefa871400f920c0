"""People sign in to the console by a real identity provider, npm's oidc-provider, in a real browser."""

import re
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from host.access.permissions import Effect, Permission
from host.access.roles import NewPermission
from tests.console.served import chromium, modules, run, serving
from tests.support.hosts import running_host
from tests.support.identity_provider import CODE, identity_provider, provider_modules

_SCRIPT = Path(__file__).with_name("sign_in.mjs")
_STORIES = re.findall(r'^  async "([^"]+)"\(', _SCRIPT.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    chromium()
    modules()
    provider_modules()
    folder = tmp_path_factory.mktemp("sign-in")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        base = f"https://localhost:{listener.getsockname()[1]}"
        client = {
            "client_id": "console",
            # A public client: what a browser's way proves is its PKCE verifier.
            "token_endpoint_auth_method": "none",
            "redirect_uris": [f"{base}/console/sign-in/callback"],
            **CODE,
        }
        provider = stack.enter_context(
            identity_provider(folder, clients=[client], groups={"olga": ["ops"], "zoe": ["other"]})
        )
        host = stack.enter_context(
            running_host(
                folder / "data",
                password="secret",
                plugins=("embedded", "oidc"),
                cache_dir=folder / "cache",
                flow_workers=1,
                oidc_issuer=provider.issuer,
                oidc_client_id="console",
                oidc_public_url=base,
                oidc_label="Example",
                oidc_ca_file=provider.ca_file,
                oidc_groups_claim="groups",
                oidc_groups=("ops=Operators",),
            )
        )
        reads = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_3/(cpi|flow|glance|live).*")
        roles, groups = host.services.roles, host.services.groups
        role = roles.create("reader", group_visibility=None)
        roles.create_permissions([NewPermission(permission=reads)], role_ids=[role.id])
        groups.assign_role(groups.create("Operators").id, role.id)
        stack.enter_context(serving(host.asgi, listener, folder / "tls"))
        given = {"base": base, "chromium": chromium(), "modules": modules()}
        return {outcome["name"]: outcome for outcome in run(given, _SCRIPT)}


@pytest.mark.timeout(360)
@pytest.mark.parametrize("story", _STORIES)
def test_a_story(outcomes, story):
    assert outcomes[story]["problem"] == ""
