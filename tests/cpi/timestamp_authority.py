"""A real timestamp authority: `openssl ts` behind HTTP on this machine."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.cpi.support import Authority, authority, certificate

POLICY = "1.2.3.4.1"
_CONFIGURATION = """
[tsa]
dir = {folder}
serial = $dir/serial
crypto_device = builtin
signer_cert = $dir/tsa.pem
certs = $dir/root.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.5
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class TimestampAuthority:
    """Answers requests with its key and certificate in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.root: Authority = authority("CN=TSA root,O=Acme,C=GB", usage={"key_cert_sign": True})
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate: x509.Certificate = certificate(
            "CN=TSA,O=Acme,C=GB",
            key,
            self.root,
            usage={"digital_signature": True},
            extensions=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)],
        )
        (folder / "tsa.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (folder / "tsa.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))
        (folder / "root.pem").write_bytes(self.root.certificate.public_bytes(Encoding.PEM))
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(_CONFIGURATION.format(folder=folder))

    def __call__(self, request: bytes) -> bytes:
        query, answer = self._folder / "request.tsq", self._folder / "answer.tsr"
        query.write_bytes(request)
        answer.unlink(missing_ok=True)
        words = ("ts", "-reply", "-config", f"{self._folder}/ts.cnf", "-section", "tsa")
        subprocess.run(
            ("openssl", *words, "-queryfile", str(query), "-out", str(answer)),
            check=False,
            capture_output=True,
            timeout=30,
        )
        return answer.read_bytes()


@contextmanager
def serving(
    answer, *, status: int = 200, kind: str = "application/timestamp-reply"
) -> Iterator[str]:
    """The URL of an HTTP server that answers every POST by calling `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
