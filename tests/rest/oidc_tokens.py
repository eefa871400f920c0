"""Tokens, keys and an HTTPS server of a hand-made provider, honest or not."""

import hmac
import json
import ssl
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

CLIENT, AUDIENCE = "cordbox", "https://cordbox.example/api"
NOW = 1_800_000_000
"""Seconds since 1970."""
SIGNER = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
OTHER = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})


def claims_of(issuer: str, **changed: Any) -> dict[str, Any]:
    """Usual claims; a value of None drops one."""
    usual = {"iss": issuer, "aud": AUDIENCE, "sub": "alice", "iat": NOW, "exp": NOW + 300}
    return {k: v for k, v in {**usual, **changed}.items() if v is not None}


def token_of(
    claims: Mapping[str, Any], key: Any = SIGNER, algorithm: str = "ES256", **header: Any
) -> str:
    """A compact JWS."""
    whole = {"alg": algorithm, "kid": key.kid, "typ": "at+jwt", **header}
    kept = {k: v for k, v in whole.items() if v is not None}
    return jws.serialize_compact(kept, json.dumps(claims), key, [algorithm])


def hmac_token(claims: Mapping[str, Any], key: bytes) -> str:
    """A token signed by HMAC under what everybody may read: joserfc refuses to make one."""
    parts = (json.dumps({"alg": "HS256", "kid": "rsa"}), json.dumps(claims))
    signed = ".".join(urlsafe_b64encode(each.encode()).decode().rstrip("=") for each in parts)
    digest = hmac.digest(key, signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


def keys_document(*keys: Any) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


class Provider:
    """A server whose answers a test sets: path -> (status, headers, body) or what writes them."""

    def __init__(self, url: str, ca_file: Path) -> None:
        self.url, self.ca_file = url, ca_file
        self.asked: list[str] = []
        self.forms: list[str] = []
        self.answers: dict[str, Any] = {}
        self.offer(SIGNER)

    def offer(self, *keys: Any, **changed: Any) -> None:
        """Serve a configuration, and these keys."""
        self.answers["/.well-known/openid-configuration"] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            **changed,
        }
        self.answers["/jwks"] = keys_document(*keys)

    def token(self, key: Any = SIGNER, **changed: Any) -> str:
        return token_of(claims_of(self.url, **changed), key)


@contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """A provider at an https address of this machine."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    ca_file = folder / "provider-ca.pem"
    authority.cert_pem.write_to_path(ca_file)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            found = made.answers.get(self.path.partition("?")[0], (404, {}, b""))
            if isinstance(found, dict):
                found = (200, {"content-type": "application/json"}, json.dumps(found).encode())
            if isinstance(found, Callable):  # type: ignore[arg-type]
                found(self)
                return
            status, headers, body = found
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            made.forms.append(self.rfile.read(length).decode())
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that end a connection are what is tested."""

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Provider(f"https://127.0.0.1:{server.server_address[1]}", ca_file)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
