"""SageMaker as it is for a moment after a create: what was just made is not there yet."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from gitops.delivery.endpoint import VISIBLE_SECONDS
from gitops.oncall import status
from tests.gitops.delivery.test_lease import Hand
from tests.gitops.team import served
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


class Late:
    """SageMaker, whose first answers to UpdateEndpoint are that the config is not there."""

    def __init__(self, sagemaker, times: int) -> None:
        self.sagemaker, self.times, self.asked = sagemaker, times, 0

    def __getattr__(self, name: str):
        return getattr(self.sagemaker, name)

    def update_endpoint(self, **request):
        self.asked += 1
        assert self.asked < 100, "it is asked for without end"
        if self.asked <= self.times:
            error = {"Code": LATE["__type"], "Message": LATE["message"]}
            raise ClientError({"Error": error}, "UpdateEndpoint")
        return self.sagemaker.update_endpoint(**request)


def test_f16_an_update_waits_for_its_config_and_not_for_ever(team, registry):
    _, asked = served(team, registry)
    never, hand = Late(team.clients.sagemaker, 1000), Hand()
    cloud = replace(team.clients, sagemaker=never)
    (failure,) = replace(team.reconciler(), cloud=cloud, clock=hand.clock()).all()
    assert "Could not find endpoint configuration" in failure
    assert never.asked <= VISIBLE_SECONDS / 0.5 + 2
    late = Late(team.clients.sagemaker, 2)
    assert replace(team.reconciler(), cloud=replace(team.clients, sagemaker=late)).all() == []
    assert late.asked == 3
    assert team.serving(asked)["version"] == str(asked.version)
