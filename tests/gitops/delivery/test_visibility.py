"""SageMaker as it is for a moment after a create: what was just made is not there yet."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from gitops.oncall import status
from tests.gitops.test_delivery import Delivery

LATE = {"__type": "ValidationException", "message": "Could not find endpoint configuration."}


@dataclass
class Slow:
    """A localcloud behind a proxy; everything else is the localcloud's."""

    cloud: object
    address: str

    def __getattr__(self, name: str):
        return getattr(self.cloud, name)

    @property
    def environment(self) -> dict[str, str]:
        return self.cloud.environment | {"AWS_ENDPOINT_URL": self.address}


@contextmanager
def late(cloud, operation: str, times: int) -> Iterator[tuple[Slow, list[str]]]:
    """The cloud, whose first answers to the operation are that the config is not there; and every operation asked."""
    host, seen = urlsplit(cloud.endpoint).netloc, []

    class Proxy(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append(self.headers.get("X-Amz-Target", "").rpartition(".")[2])
            if seen[-1] == operation and seen.count(operation) <= times:
                self.answer(400, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(LATE).encode())
                return
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            skipped = {"content-length", "transfer-encoding", "connection"}
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in skipped]
            self.answer(answer.status, headers, answer.read())
            connection.close()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815 - names of http.server

        def answer(self, code: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(code)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Slow(cloud, f"http://127.0.0.1:{server.server_port}"), seen
        server.shutdown()


def test_f16_a_config_that_is_not_visible_yet_is_asked_for_again(localcloud, tmp_path):
    """CreateEndpoint is told twice that its config is not there; the same reconcile succeeds."""
    delivery = Delivery(localcloud, tmp_path)
    arn, run_id = delivery.execute()
    release = delivery.register(run_id)
    assert delivery.gitops("propose", "--execution", arn).returncode == 0
    with late(localcloud, "CreateEndpoint", times=2) as (cloud, seen):
        delivery.cloud = cloud
        done = delivery.gitops("reconcile", "staging")
    assert done.returncode == 0, done.stdout + done.stderr
    assert seen.count("CreateEndpoint") == 3
    name = f"{delivery.name}-ncf-staging"
    assert status.observe(delivery.sagemaker, name).release == release.id
    delivery.sagemaker.delete_endpoint(EndpointName=name)
