"""Target tracking: as many instances as bring the invocations of each near the target. Twenty times as fast as AWS.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
A minute is 3 s here. AWS's two alarms of a policy are evaluated here without being made: three minutes above the
target scale out, fifteen below nine tenths of it scale in. A minute without a request has no datapoint, so that an
endpoint nobody asks keeps its instances, as on AWS.
"""

import math
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..service import CloudError
from . import targets
from .state import Row, parts, state

if TYPE_CHECKING:
    from ..cloud import Cloud

SCALE = 20
MINUTE = 60 // SCALE  # seconds that stand for one
EVERY_SECONDS = 1.0
LATE_SECONDS = 2  # a metric of a moment is there so much later: those of endpoints are gathered for a second
OUT, IN = 3, 15  # minutes that have to agree
SLACK = 0.9
COOLDOWN = 300  # AWS's default for SageMaker, in its seconds
CONFIGURATION = "TargetTrackingScalingPolicyConfiguration"

Point = float | None


def wanted(count: int, points: Sequence[Point], policy: Mapping[str, Any], limits: Mapping[str, Any]) -> int:
    """How many instances there should be, where `count` are: pure.

    `points` are the invocations per instance of the last fifteen minutes, oldest first, None for a minute without any.
    """
    goal, suspended = policy["TargetValue"], limits["SuspendedState"]
    recent = [point for point in points[-OUT:] if point is not None]
    if len(recent) == OUT and min(recent) > goal:
        more = min(math.ceil(count * recent[-1] / goal), limits["MaxCapacity"])
        return count if suspended["DynamicScalingOutSuspended"] else max(count, more)
    whole = [point for point in points[-IN:] if point is not None]
    if len(whole) == IN and max(whole) < SLACK * goal and not policy.get("DisableScaleIn"):
        less = max(math.ceil(count * max(whole) / goal), limits["MinCapacity"])
        return count if suspended["DynamicScalingInSuspended"] else min(count, less)
    return count


class Tracker:
    """Carries out every policy there is, one after the other."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    def run(self) -> None:
        """Look for ever: this is a daemon thread's function."""
        while True:
            with state(self._cloud).lock:
                rows = list(state(self._cloud).policies.values())
            for row in rows:
                try:
                    self._look(row)
                except CloudError:  # the variant is gone meanwhile
                    continue
                except Exception:  # noqa: BLE001 what failed once may pass in a second; the log is read by a person
                    print(f"target tracking:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            time.sleep(EVERY_SECONDS)

    def _look(self, row: Row) -> None:
        resource_id, policy = row["ResourceId"], row[CONFIGURATION]
        with state(self._cloud).lock:
            limits, last = state(self._cloud).targets.get(resource_id), state(self._cloud).scaled.get(resource_id)
        if limits is None:
            return
        live = targets.variant(self._cloud, resource_id)
        count = live["DesiredInstanceCount"]
        asked = wanted(count, self._points(resource_id), policy, limits)
        cooldown = policy.get("ScaleOutCooldown" if asked > count else "ScaleInCooldown", COOLDOWN) / SCALE
        cool = last is None or time.monotonic() - last >= cooldown
        if asked == count or not cool or live["EndpointStatus"] != "InService":
            return
        if targets.resize(self._cloud, resource_id, asked):
            with state(self._cloud).lock:
                state(self._cloud).scaled[resource_id] = time.monotonic()

    def _points(self, resource_id: str) -> list[Point]:
        """Invocations per instance in each of the last minutes, oldest first."""
        endpoint, variant = parts(resource_id)
        named = {"EndpointName": endpoint, "VariantName": variant}
        end = int(time.time() - LATE_SECONDS) // MINUTE * MINUTE
        start = end - IN * MINUTE
        metric = {
            "Namespace": "AWS/SageMaker",
            "MetricName": "InvocationsPerInstance",
            "Dimensions": [{"Name": key, "Value": value} for key, value in named.items()],
        }
        found = self._cloud.client("cloudwatch").get_metric_data(
            MetricDataQueries=[
                {"Id": "points", "MetricStat": {"Metric": metric, "Period": MINUTE, "Stat": "Sum"}},
            ],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
        )["MetricDataResults"][0]
        pairs = zip(found["Timestamps"], found["Values"], strict=True)
        values = {(int(stamp.timestamp()) - start) // MINUTE: value for stamp, value in pairs}
        return [values.get(index) for index in range(IN)]
