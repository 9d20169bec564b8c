"""What watches an update: its alarms' states, looked at all the time, and the time it may take."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from .store import invalid

if TYPE_CHECKING:
    from ..cloud import Cloud

# waits of an update are as many times as fast as alarms' periods
SCALE = 20
POLL_SECONDS = 0.2


class GuardError(Exception):
    """The update has to be rolled back; the text is the endpoint's FailureReason."""


class Guard:
    """Looks at alarms in a thread of its own while it is entered. One that was in ALARM once stays so for it."""

    def __init__(self, cloud: "Cloud", alarms: Sequence[str], maximum: int | None) -> None:
        self._cloud = cloud
        self._alarms = list(alarms)
        self._deadline = None if maximum is None else time.monotonic() + maximum / SCALE
        self._tripped = threading.Event()
        self._over = threading.Event()
        self._reason = ""

    def __enter__(self) -> "Guard":
        if self._alarms:
            self._look()
            self._cloud.spawn(self._watch, "deployment alarms")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()

    def check(self) -> None:
        """GuardError if an alarm has been in ALARM, or the time is over."""
        self.wait(0)

    def wait(self, seconds: float) -> None:
        """Wait so many of SageMaker's seconds; GuardError as soon as there is a reason to roll back."""
        pause, late = seconds / SCALE, False
        if self._deadline is not None and (left := self._deadline - time.monotonic()) <= pause:
            pause, late = max(left, 0), True
        if self._tripped.wait(pause):
            raise GuardError(self._reason)
        if late:
            raise GuardError("The deployment did not complete within MaximumExecutionTimeoutInSeconds.")

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS) and not self._tripped.is_set():
            self._look()

    def _look(self) -> None:
        try:
            ringing = states(self._cloud, self._alarms)
        except Exception as error:  # noqa: BLE001 an update whose alarms nobody can see is not watched
            self._trip(f"The CloudWatch alarms configured for deployment guardrails cannot be read: {error}")
            return
        names = [name for name in self._alarms if ringing.get(name) == "ALARM"]
        if names:
            self._trip(
                "One or more CloudWatch alarms configured for deployment guardrails are in ALARM state: "
                f"{', '.join(names)}"
            )

    def _trip(self, reason: str) -> None:
        self._reason = reason[:1024]
        self._tripped.set()


def states(cloud: "Cloud", alarms: Sequence[str]) -> dict[str, str]:
    """The states of those of these alarms that exist."""
    types = ["MetricAlarm", "CompositeAlarm"]
    found = cloud.client("cloudwatch").describe_alarms(AlarmNames=list(alarms), AlarmTypes=types)
    rows = [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]
    return {row["AlarmName"]: row["StateValue"] for row in rows}


def require(cloud: "Cloud", alarms: Sequence[str]) -> None:
    """Refuse alarms that do not exist."""
    known = states(cloud, alarms) if alarms else {}
    missing = [name for name in alarms if name not in known]
    if missing:
        raise invalid(f"The CloudWatch alarms configured for deployment guardrails do not exist: {', '.join(missing)}")
