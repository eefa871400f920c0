"""A Kafka broker for tests: one process of Java (KRaft), from artifacts of Maven Central.

`CORDBOX_KAFKA_LIBS` names a folder with the JARs of `make kafka-jars`, `build/kafka/libs` by default.
"""

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.support.ports import STARTS_MAX, free_ports

USER = "cordbox"
LIBS = Path(os.environ.get("CORDBOX_KAFKA_LIBS", "build/kafka/libs"))
_READY_SECONDS_MAX = 60
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://localhost:{secure}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
log.dirs={folder}/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
"""


def missing() -> str | None:
    """Why no broker can be started here; None if one can."""
    if shutil.which("java") is None:
        return "no java is installed for a Kafka broker"
    if not any(LIBS.glob("kafka_*.jar")):
        return f"no Kafka in {LIBS}: make kafka-jars"
    return None


class KafkaServer:
    """A running broker, whose files are in a folder of their own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cordbox-kafka-"))
        self.password = token_hex(8)
        self._make_certificate()
        self._properties = self.folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start_on_free_ports()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _make_certificate(self) -> None:
        """The broker's certificate, for the name `localhost`, and that of its authority."""
        authority = trustme.CA()
        own = authority.issue_cert("localhost")
        key = load_pem_private_key(own.private_key_pem.bytes(), None)
        form = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()  # the only one that Kafka reads
        chain = b"".join(each.bytes() for each in own.cert_chain_pems)
        (self.folder / "server.pem").write_bytes(key.private_bytes(*form) + chain)
        self.ca_file = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)

    def _start_on_free_ports(self) -> None:
        for left in reversed(range(STARTS_MAX)):
            self.port, self.secure_port, controller = free_ports(3)
            self._properties.write_text(
                _PROPERTIES.format(
                    port=self.port,
                    secure=self.secure_port,
                    controller=controller,
                    folder=self.folder,
                )
            )
            try:
                self._format()
                return self.start()
            except RuntimeError:
                if not left:
                    raise
                self.kill()
                shutil.rmtree(self.folder / "logs", ignore_errors=True)
        raise AssertionError

    def start(self) -> None:
        """Start the broker, and wait until it listens on both ports."""
        self._process = self._java("kafka.Kafka")
        for _ in range(_READY_SECONDS_MAX * 20):
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
                socket.create_connection(("127.0.0.1", self.secure_port), 1),
            ):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)  # Java tells nobody when it listens
        raise RuntimeError((self.folder / "out").read_text()[-2000:])

    def kill(self) -> None:
        """End the broker as a loss of power ends it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def lose_disk(self) -> None:
        """End the broker, and start it anew without topics and records."""
        self.kill()
        shutil.rmtree(self.folder / "logs")
        self._format()
        self.start()

    def close(self) -> None:
        """End the broker and delete its files."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)

    def _format(self) -> None:
        # A leading "-" would be an option of the formatting program.
        cluster = "c" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        user = f"SCRAM-SHA-512=[name={USER},password={self.password}]"
        words = ("format", "--add-scram", user, "-t", cluster, "-c")
        self._java("kafka.tools.StorageTool", *words).wait()

    def _java(self, main: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "out").open("ab") as out:
            return subprocess.Popen(
                [
                    *("java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                    *("-cp", f"{LIBS.absolute()}/*", main, *words, str(self._properties)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )


@contextmanager
def running_broker() -> Iterator[KafkaServer]:
    """A broker for the duration of the block."""
    server = KafkaServer()
    try:
        yield server
    finally:
        server.close()
