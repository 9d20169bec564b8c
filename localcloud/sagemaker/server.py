"""One container process that serves: started, pinged, called, restarted when it dies, drained and stopped."""

import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import urllib3
from urllib3.exceptions import HTTPError

from .. import ports
from ..service import CloudError
from . import archives, transfers
from .container import FLUSH_SECONDS, Lines, inside
from .exchange import Call, Reply
from .models import MULTI_MODEL, archive
from .multi_model import MOST, Models
from .store import Row, folder

if TYPE_CHECKING:
    from ..cloud import Cloud

PING_SECONDS = 0.02
INVOKE_SECONDS = 60.0  # SageMaker's own limit for a container's answer
# a container that ends is started again, one that never becomes healthy at growing intervals
RESTART_SECONDS, MOST_RESTART_SECONDS = 0.05, 10.0
STOP_SECONDS = 10.0


class ServerError(Exception):
    """A container that could not be brought to answer its ping; the text is the endpoint's FailureReason."""


@dataclass(frozen=True)
class Spec:
    """What a server runs and for whom.

    `subject` is how its errors name it, `log` the group of its log and how its streams start, `seconds` how long it
    may take to become healthy and `answer_seconds` to answer.
    """

    subject: str
    log: tuple[str, str]
    container: Row
    seconds: float
    answer_seconds: float = INVOKE_SECONDS


class Server:
    """A container of an endpoint. `in_flight` counts requests; the endpoint's lock guards it."""

    def __init__(self, cloud: "Cloud", spec: Spec) -> None:
        self.spec = spec
        self.in_flight = 0
        self._cloud = cloud
        self._name = secrets.token_hex(8)
        self._base = folder(cloud, "servers", self._name)
        self._stopping = threading.Event()
        self._healthy = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", 1)
        self.models = self._multi_model() if spec.container.get("Mode") == MULTI_MODEL else None

    def _multi_model(self) -> Models:
        caching = self.spec.container.get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled") == "Enabled"
        prefix, most = self.spec.container["ModelDataUrl"], MOST if caching else 0
        return Models(self._cloud, prefix, self._base / "models", self.ask, most)

    def start(self) -> None:
        """Fetch the model, start the container and wait until it is healthy; ServerError if it never is."""
        try:
            self._fetch_model()
            self._launch()
        except (transfers.TransferError, archives.ArchiveError, OSError) as error:
            raise ServerError(f"Failed to download model data for {self.spec.subject}: {error}") from error
        except CloudError as error:
            raise ServerError(error.message) from error
        self._await_health()
        threading.Thread(target=self._keep_alive, name=f"keep {self._name}", daemon=True).start()

    @property
    def serving(self) -> bool:
        """Whether its container has answered its ping and still runs."""
        return self._healthy.is_set() and self._running()

    def invoke(self, call: Call) -> Reply:
        """The reply of the model, in a multi-model container of the one that the call is for."""
        return self.models.invoke(call) if self.models else self.ask("POST", "/invocations", call)

    def ask(self, method: str, path: str, call: Call) -> Reply:
        """One request over a kept connection; a reply of status 0 says why the container did not answer."""
        started = time.perf_counter()
        headers: Mapping[str, str] = {}
        try:
            response = self._pool.urlopen(
                method, path, body=call.body, headers=call.headers, retries=False, timeout=self.spec.answer_seconds
            )
            status, body, headers = response.status, response.data, response.headers
        except HTTPError as error:
            status = 0
            body = f"Your invocation failed while waiting for a response from container primary ({error})".encode()
        return Reply(status, body, headers, time.perf_counter() - started)

    def stop(self) -> None:
        """SIGTERM, a moment to drain, SIGKILL; its files go too."""
        self._stopping.set()
        if self._process:
            self._cloud.processes.stop(self._process, STOP_SECONDS)
        self._pool.close()
        shutil.rmtree(self._base, ignore_errors=True)

    def _fetch_model(self) -> None:
        model = self._base / "model"
        model.mkdir(exist_ok=True)
        data = archive(self.spec.container)
        if data is None or self.models:
            return
        uri, packed = data
        if not packed:
            transfers.download(self._cloud, uri, "S3Prefix", model)
            return
        file = self._base / "model.tar.gz"
        transfers.download_file(self._cloud, uri, file)
        archives.unpack(file, model)
        file.unlink()

    def _launch(self) -> None:
        image = self._cloud.images.find(self.spec.container["Image"])
        files = image.folder(self._cloud)
        if not image.command:
            raise ServerError(f"The image {self.spec.container['Image']} has no command that serves; see images.yml.")
        port = ports.free()
        own = {name: inside(value, self._base) for name, value in self.spec.container.get("Environment", {}).items()}
        env = {
            **self._cloud.environment(),
            "PYTHONUNBUFFERED": "1",
            **own,
            **({"SAGEMAKER_MULTI_MODEL": "true"} if self.models else {}),
            "SAGEMAKER_BASE_DIR": str(self._base),
            "SAGEMAKER_BIND_TO_PORT": str(port),
        }
        log = self._base / "container.log"
        with log.open("ab") as sink:
            command, start = [*image.command, "serve"], sink.tell()
            process = self._cloud.processes.start(command, env=env, cwd=files or self._base, stdout=sink)
            written = log.open("rb")
            written.seek(start)
        self._process = process
        if self._stopping.is_set():  # stopped while it was being started again
            self._cloud.processes.stop(self._process, 0)
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=64)
        threading.Thread(target=self._follow, args=(process, written), name=f"log {self._name}", daemon=True).start()

    def _await_health(self) -> None:
        deadline = time.monotonic() + self.spec.seconds
        while time.monotonic() < deadline and self._running() and not self._stopping.is_set():
            if self._pings():
                self._healthy.set()
                return
            time.sleep(PING_SECONDS)
        raise ServerError(
            f"The primary container for {self.spec.subject} did not pass the ping health check. "
            f"Please check CloudWatch logs in {self.spec.log[0]}."
        )

    def _pings(self) -> bool:
        try:
            return self._pool.request("GET", "/ping", retries=False, timeout=2.0).status == 200
        except HTTPError:
            return False

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _keep_alive(self) -> None:
        failures = 0
        while True:
            if self._process:
                self._process.wait()
            self._healthy.clear()
            if self._stopping.wait(min(RESTART_SECONDS * 2**failures, MOST_RESTART_SECONDS)):
                return
            self._log([f"container {self._name} ended unexpectedly; SageMaker starts it again"])
            try:
                self._launch()
                self._await_health()
                failures = 0
            except (ServerError, OSError, RuntimeError) as error:
                failures += 1
                self._log([str(error)])
                if self._process:
                    self._cloud.processes.stop(self._process, 0)

    def _follow(self, process: "subprocess.Popen[bytes]", file: IO[bytes]) -> None:
        with file:
            lines = Lines(file)
            while process.poll() is None:
                self._log(lines.new())
                time.sleep(FLUSH_SECONDS)
            self._log(lines.new(last=True))

    def _log(self, lines: list[str]) -> None:
        if lines:
            group, stream = self.spec.log
            self._cloud.log(group, f"{stream}/{self._name}", lines)
