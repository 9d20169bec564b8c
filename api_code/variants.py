"""Sticky A/B: the variant of a user, by a stable hash over the weights that the endpoint has now."""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

SECONDS = 60.0  # how long the weights are believed


def choose(user: str, weights: Mapping[str, float]) -> str | None:
    """The user's variant; None if there is nothing to choose, so that the endpoint decides.

    The hash is a point on a line on which each variant, by name, has its weight's share: the same user has the same
    variant for as long as the weights stay, and when they move only those users move whose point a border passes.
    """
    shares = {name: weight for name, weight in sorted(weights.items()) if weight > 0}
    if len(shares) < 2:
        return None
    digest = hashlib.sha256(b"variant\0" + user.encode("utf-8", "surrogatepass")).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for name, share in shares.items():
        if point < share:
            return name
        point -= share
    return max(shares)  # what rounding left over


class Weights:
    """The weights of endpoints, asked for at most once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, dict[str, float]]] = {}

    def of(self, sagemaker: Any, endpoint: str) -> dict[str, float]:
        """Variant -> weight; the last ones known if the endpoint cannot be described now.

        Raises what DescribeEndpoint raises.
        """
        with self._lock:
            asked, found = self._known.get(endpoint, (float("-inf"), {}))
            if self._clock() - asked > SECONDS:
                try:
                    variants = sagemaker.describe_endpoint(EndpointName=endpoint).get("ProductionVariants", [])
                    found = {each["VariantName"]: float(each.get("CurrentWeight", 0)) for each in variants}
                except ClientError:
                    if endpoint not in self._known:
                        raise
                self._known[endpoint] = self._clock(), found
            return found

    def forget(self, endpoint: str) -> None:
        """Ask again at the next request: a variant that was there is gone."""
        with self._lock:
            self._known.pop(endpoint, None)
