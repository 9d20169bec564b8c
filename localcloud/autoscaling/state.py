"""What Application Auto Scaling remembers, in memory, and how its resources are named."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..service import CloudError

if TYPE_CHECKING:
    from ..cloud import Cloud

Row = dict[str, Any]
NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
PAGE = 50


@dataclass
class State:
    """Targets by their resource, policies by resource and name; whoever changes them holds `lock`."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    targets: dict[str, Row] = field(default_factory=dict)
    policies: dict[tuple[str, str], Row] = field(default_factory=dict)
    scaled: dict[str, float] = field(default_factory=dict)  # resource -> monotonic time of its last activity
    tracking: bool = False


def state(cloud: "Cloud") -> State:
    """The one State of this cloud."""
    found: State = cloud.store("application-autoscaling").setdefault("state", State())
    return found


def resource(endpoint: str, variant: str) -> str:
    """`endpoint/<endpoint>/variant/<variant>`, a variant's ResourceId."""
    return f"endpoint/{endpoint}/variant/{variant}"


def parts(resource_id: str) -> tuple[str, str]:
    """Endpoint and variant of a ResourceId; ValidationException if it names no variant."""
    words = resource_id.split("/")
    if len(words) != 4 or (words[0], words[2]) != ("endpoint", "variant"):
        raise invalid("Unsupported service namespace, resource type or scalable dimension")
    return words[1], words[3]


def require_variant(request: Row) -> str:
    """The ResourceId of a request that is about a variant's instances; any other kind is refused by name."""
    namespace, dimension = request["ServiceNamespace"], request.get("ScalableDimension", DIMENSION)
    if (namespace, dimension) != (NAMESPACE, DIMENSION):
        raise unsupported(f"ServiceNamespace {namespace}, ScalableDimension {dimension}")
    return str(request["ResourceId"])


def target(cloud: "Cloud", resource_id: str) -> Row:
    """The target that is registered for the resource, or AWS's sentence that there is none."""
    found = state(cloud).targets.get(resource_id)
    if found is None:
        raise missing("scalable target found", resource_id)
    return found


def invalid(message: str) -> CloudError:
    """A request that is wrong."""
    return CloudError("ValidationException", message)


def missing(what: str, resource_id: str) -> CloudError:
    """A resource that nobody registered."""
    words = f"service namespace: {NAMESPACE}, resource ID: {resource_id}, scalable dimension: {DIMENSION}"
    return CloudError("ObjectNotFoundException", f"No {what} for {words}")


def unsupported(what: str) -> CloudError:
    """A part of a request that is not acted on: refused by name rather than ignored."""
    return CloudError("UnsupportedOperation", f"localcloud does not implement application-autoscaling with {what}")


def page(member: str, rows: Iterable[Row], request: Row) -> Row:
    """The rows a Describe request asks for; the token is the position of the next one."""
    every = list(rows)
    try:
        start = int(request.get("NextToken") or 0)
    except ValueError as error:
        raise CloudError("InvalidNextTokenException", "The specified token is invalid.") from error
    end = start + (request.get("MaxResults") or PAGE)
    more = {"NextToken": str(end)} if end < len(every) else {}
    return {member: every[start:end], **more}


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
