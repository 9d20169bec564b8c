"""Where SageMaker's resources are kept, what they are called and how they are listed."""

import base64
import binascii
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..service import CloudError

if TYPE_CHECKING:
    from ..cloud import Cloud

Row = dict[str, Any]


def table(cloud: "Cloud", name: str) -> dict[str, Any]:
    """One kind of resource, by name."""
    rows: dict[str, Any] = cloud.store("sagemaker").setdefault(name, {})
    return rows


def lock(cloud: "Cloud") -> threading.RLock:
    """The one lock around everything SageMaker keeps."""
    found: threading.RLock = cloud.store("sagemaker").setdefault("lock", threading.RLock())
    return found


def folder(cloud: "Cloud", *parts: str) -> Path:
    """A private folder of SageMaker's, created when it is missing."""
    path = Path(cloud.directory, "sagemaker", *parts).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def arn(cloud: "Cloud", kind: str, name: str) -> str:
    """`arn:aws:sagemaker:<region>:<account>:<kind>/<name>`."""
    return f"arn:aws:sagemaker:{cloud.region}:{cloud.account}:{kind}/{name}"


def name_of(name_or_arn: str) -> str:
    """The name in a name, or in an ARN of the form `...:<kind>/<name>`."""
    return name_or_arn.partition("/")[2] if name_or_arn.startswith("arn:") else name_or_arn


def now() -> datetime:
    """The moment, in UTC, as every description keeps it."""
    return datetime.now(UTC)


def invalid(message: str) -> CloudError:
    """SageMaker's usual refusal."""
    return CloudError("ValidationException", message)


def unsupported(operation: str, member: str) -> CloudError:
    """A part of a request that localcloud does not act on: refused by name rather than ignored."""
    return CloudError("UnsupportedOperation", f"localcloud does not implement sagemaker:{operation} with {member}")


def refuse(operation: str, request: Row, members: Iterable[str]) -> None:
    """Refuse the first of these members that the request really uses."""
    for member in members:
        if request.get(member):
            raise unsupported(operation, member)


def page(rows: Iterable[Row], request: Row, sort: Callable[[Row], Any] | None = None) -> Row:
    """The rows a List request asks for, as `{"Rows": [...], "NextToken": ...}`.

    Sorted by `sort` (a row's creation time by default), in `SortOrder`, newest first unless it says otherwise.
    """
    ordered = sorted(rows, key=sort or _created, reverse=request.get("SortOrder", "Descending") != "Ascending")
    start = _offset(request.get("NextToken"))
    size = request.get("MaxResults") or 100
    answer: Row = {"Rows": ordered[start : start + size]}
    if start + size < len(ordered):
        answer["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def listed(member: str, rows: Iterable[Row], request: Row, sort: Callable[[Row], Any] | None = None) -> Row:
    """`page`, with the rows under the name that the operation answers them by."""
    answer = page(rows, request, sort)
    answer[member] = answer.pop("Rows")
    return answer


def matches(row: Row, request: Row, name: str = "") -> bool:
    """Whether a row passes the filters that most List requests share."""
    contains = request.get("NameContains")
    if contains and contains.lower() not in str(row.get(name, "")).lower():
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        moment: Any = row.get(member, row["CreationTime"])
        after, before = request.get(f"{member}After"), request.get(f"{member}Before")
        if (after and moment <= _aware(after)) or (before and moment >= _aware(before)):
            return False
    return True


def between(row: Row, request: Row) -> bool:
    """Whether a row passes `CreatedAfter` and `CreatedBefore`, as pipelines name those filters."""
    return matches(
        row, {"CreationTimeAfter": request.get("CreatedAfter"), "CreationTimeBefore": request.get("CreatedBefore")}
    )


def _created(row: Row) -> Any:
    return row["CreationTime"]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise invalid("Invalid pagination token.") from None
