"""The phases of one build, as they happen: BuildPhase records and the lines CodeBuild logs about them."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Log = Callable[[str], None]

SUCCEEDED, FAILED, FAULT, TIMED_OUT, STOPPED = "SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"


def container_line(text: str) -> str:
    """A line as CodeBuild itself writes it: `[Container] 2026/11/21 06:16:54.181522 Entering phase BUILD`."""
    return f"[Container] {datetime.now(UTC):%Y/%m/%d %H:%M:%S.%f} {text}"


class Phases:
    """botocore's BuildPhase records, in order; the last one may still be in progress."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._records: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    @property
    def current(self) -> str:
        """The phase the build is in."""
        with self._lock:
            return self._records[-1]["phaseType"] if self._records else "SUBMITTED"

    def records(self) -> list[dict[str, Any]]:
        """A copy that the caller may keep."""
        with self._lock:
            return [dict(record) for record in self._records]

    def enter(self, phase: str) -> None:
        """`phase` begins now."""
        with self._lock:
            self._records.append({"phaseType": phase, "startTime": datetime.now(UTC)})

    def leave(self, status: str, code: str = "", message: str = "", *, logged: bool = True) -> None:
        """The current phase ends now; `code` and `message` say why it did not succeed."""
        now = datetime.now(UTC)
        with self._lock:
            record = self._records[-1]
            record |= {
                "phaseStatus": status,
                "endTime": now,
                "durationInSeconds": int((now - record["startTime"]).total_seconds()),
                "contexts": [{"statusCode": code, "message": message}],
            }
        if logged:
            self._log(container_line(f"Phase complete: {record['phaseType']} State: {status}"))
            self._log(container_line(f"Phase context status code: {code} Message: {message}"))

    def through(self, *names: str) -> None:
        """Pass phases in which localcloud has nothing to do."""
        for name in names:
            self.enter(name)
            self.leave(SUCCEEDED, logged=False)
