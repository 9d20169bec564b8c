"""What every service may ask of the cloud it runs in."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from .images import Images
from .processes import Processes

ACCOUNT = "123456789012"
CREDENTIAL = "localcloud"
Publish = Callable[["Cloud", dict[str, Any]], None]


@dataclass
class Cloud:
    """One running localcloud: one account, one region, one private directory."""

    directory: Path
    endpoint: str
    region: str
    images: Images
    processes: Processes
    publish: Publish
    account: str = ACCOUNT
    _stores: dict[str, dict[str, Any]] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def client(self, service: str) -> Any:
        """A boto3 client on this very endpoint: the way one service asks another."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.client(
                    service,
                    endpoint_url=self.endpoint,
                    region_name=self.region,
                    aws_access_key_id=CREDENTIAL,
                    aws_secret_access_key=CREDENTIAL,
                    config=Config(max_pool_connections=50, read_timeout=900, retries={"total_max_attempts": 1}),
                )
            return self._clients[service]

    def store(self, service: str) -> dict[str, Any]:
        """The state of one service, in memory. Services guard their own changes with their own lock."""
        with self._lock:
            return self._stores.setdefault(service, {})

    def environment(self) -> dict[str, str]:
        """All that a child process sees of the outside; the caller adds what the contract of its job names."""
        home, scratch = self.directory / "home", self.directory / "tmp"
        home.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
        """Put an event of AWS's own on the default bus."""
        self.publish(
            self, {"Source": source, "DetailType": detail_type, "Detail": detail, "Resources": list(resources)}
        )

    def log(self, group: str, stream: str, lines: Iterable[str]) -> None:
        """Append lines to CloudWatch Logs, creating the group and the stream."""
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines if line]
        if not events:
            return
        logs = self.client("logs")
        for start in range(0, len(events), 1000):  # AWS takes 10,000 lines or 1 MiB at a time
            some = {"logGroupName": group, "logStreamName": stream, "logEvents": events[start : start + 1000]}
            try:
                logs.put_log_events(**some)
            except logs.exceptions.ResourceNotFoundException:  # the first lines, or somebody deleted the group
                with suppress(logs.exceptions.ResourceAlreadyExistsException):
                    logs.create_log_group(logGroupName=group)
                with suppress(logs.exceptions.ResourceAlreadyExistsException):
                    logs.create_log_stream(logGroupName=group, logStreamName=stream)
                logs.put_log_events(**some)

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run `function` in a daemon thread; what it raises is written to localcloud.log."""
        threading.Thread(target=_reported, args=(function, name), name=name, daemon=True).start()


def _reported(function: Callable[[], None], name: str) -> None:
    try:
        function()
    except Exception:  # noqa: BLE001 a thread has nobody to raise to; the log is read by a person
        print(f"thread {name}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
