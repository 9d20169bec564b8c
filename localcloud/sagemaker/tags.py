"""AddTags, ListTags and DeleteTags for everything of SageMaker's that has an ARN."""

from typing import TYPE_CHECKING

from .store import Row, invalid, lock, page, table

if TYPE_CHECKING:
    from ..cloud import Cloud

MAX_TAGS = 50


def keep(cloud: "Cloud", arn: str, tags: list[Row] | None) -> None:
    """Remember the tags of a resource that has just been created; it can be tagged from now on."""
    with lock(cloud):
        table(cloud, "tags")[arn] = {tag["Key"]: tag["Value"] for tag in tags or []}


def forget(cloud: "Cloud", arn: str) -> None:
    """Drop the tags of a resource that is gone."""
    with lock(cloud):
        table(cloud, "tags").pop(arn, None)


def of(cloud: "Cloud", arn: str) -> dict[str, str]:
    """The tags of a resource."""
    with lock(cloud):
        return dict(table(cloud, "tags").get(arn, {}))


def add_tags(cloud: "Cloud", request: Row) -> Row:
    """Add or overwrite tags; answers all of them."""
    with lock(cloud):
        tags = _find(cloud, request["ResourceArn"])
        merged = {**tags, **{tag["Key"]: tag["Value"] for tag in request["Tags"]}}
        if len(merged) > MAX_TAGS:
            raise invalid(f"The number of tags cannot exceed {MAX_TAGS}.")
        tags.update(merged)
        return {"Tags": _rows(tags)}


def list_tags(cloud: "Cloud", request: Row) -> Row:
    """The tags of one resource."""
    with lock(cloud):
        rows = _rows(_find(cloud, request["ResourceArn"]))
    answer = page(rows, {**request, "SortOrder": "Ascending"}, lambda row: row["Key"])
    return {"Tags": answer.pop("Rows"), **answer}


def delete_tags(cloud: "Cloud", request: Row) -> None:
    """Remove tags by key; absent keys are no error."""
    with lock(cloud):
        tags = _find(cloud, request["ResourceArn"])
        for key in request["TagKeys"]:
            tags.pop(key, None)


def _find(cloud: "Cloud", arn: str) -> dict[str, str]:
    tags: dict[str, str] | None = table(cloud, "tags").get(arn)
    if tags is None:
        raise invalid(f"Requested resource {arn} not found.")
    return tags


def _rows(tags: dict[str, str]) -> list[Row]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


OPERATIONS = {"AddTags": add_tags, "ListTags": list_tags, "DeleteTags": delete_tags}
