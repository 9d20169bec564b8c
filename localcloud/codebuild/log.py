"""The log of one build, written to CloudWatch Logs while it grows."""

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..cloud import Cloud

_SECONDS = 0.3
_EVENTS, _BYTES = 1000, 800_000  # CloudWatch takes 10,000 events and 1 MiB at a time


class BuildLog:
    """Call it with a line. Lines are sent in batches; `close` sends the rest."""

    def __init__(self, cloud: "Cloud", settings: dict[str, Any], project: str, build: str) -> None:
        self._cloud = cloud
        watch = settings.get("cloudWatchLogs", {})
        self._enabled = watch.get("status") != "DISABLED"
        self.group = watch.get("groupName", f"/aws/codebuild/{project}")
        self.stream = f"{watch['streamName']}/{build}" if "streamName" in watch else build
        self._lines: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def __call__(self, line: str) -> None:
        with self._lock:
            self._lines.append({"timestamp": int(time.time() * 1000), "message": line or " "})

    def open(self) -> None:
        """Create group and stream, and begin to send."""
        if not self._enabled:
            return
        logs = self._cloud.client("logs")
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=self.group)
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=self.group, logStreamName=self.stream)
        self._cloud.spawn(self._pump, f"log-{self.stream}")

    def close(self) -> None:
        """Send what is left."""
        self._closed.set()
        self._flush()

    def location(self) -> dict[str, Any]:
        """botocore's LogsLocation."""
        if not self._enabled:
            return {"cloudWatchLogs": {"status": "DISABLED"}}
        region, quoted = self._cloud.region, (self.group.replace("/", "$252F"), self.stream.replace("/", "$252F"))
        return {
            "groupName": self.group,
            "streamName": self.stream,
            "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logsV2:log-groups/log-group/{quoted[0]}/log-events/{quoted[1]}",
            "cloudWatchLogsArn": f"arn:aws:logs:{region}:{self._cloud.account}:log-group:{self.group}"
            f":log-stream:{self.stream}",
            "cloudWatchLogs": {"status": "ENABLED"},
        }

    def _pump(self) -> None:
        while not self._closed.wait(_SECONDS):
            self._flush()

    def _flush(self) -> None:
        with self._lock:  # held while sending, so that batches keep their order
            lines, self._lines = self._lines, []
            if not self._enabled:
                return
            for batch in _batches(lines):
                self._cloud.client("logs").put_log_events(
                    logGroupName=self.group, logStreamName=self.stream, logEvents=batch
                )


def _batches(lines: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = []
    size = _BYTES
    for line in lines:
        weight = len(line["message"].encode()) + 26
        if size + weight > _BYTES or len(batches[-1]) == _EVENTS:
            batches.append([])
            size = 0
        batches[-1].append(line)
        size += weight
    return batches
