"""Models: what an endpoint's container runs. CreateModel and its Describe, List, Delete."""

from typing import TYPE_CHECKING

from ..service import CloudError
from . import registry, tags, transfers
from .shapes import describe
from .store import Row, arn, invalid, listed, lock, matches, now, refuse, table, unsupported

if TYPE_CHECKING:
    from ..cloud import Cloud

TABLE = "models"
CREATE = "CreateModel"
MULTI_MODEL = "MultiModel"


def create_model(cloud: "Cloud", request: Row) -> Row:
    """Record a model after making sure that its image and its archive exist."""
    refuse(CREATE, request, ("VpcConfig", "InferenceExecutionConfig"))
    primary = request.get("PrimaryContainer")
    containers = [primary] if primary else request.get("Containers", [])
    if len(containers) != 1:
        raise unsupported(CREATE, f"{len(containers)} containers; give one PrimaryContainer")
    container = _resolved(cloud, containers[0])
    name = request["ModelName"]
    row = {
        "EnableNetworkIsolation": False,
        **{key: value for key, value in request.items() if key not in ("Tags", "Containers")},
        "PrimaryContainer": containers[0],
        "ModelArn": arn(cloud, "model", name),
        "CreationTime": now(),
        "Runs": container,
    }
    with lock(cloud):
        if name in table(cloud, TABLE):
            raise invalid(f'Cannot create already existing model "{row["ModelArn"]}".')
        table(cloud, TABLE)[name] = row
    tags.keep(cloud, row["ModelArn"], request.get("Tags"))
    return {"ModelArn": row["ModelArn"]}


def find(cloud: "Cloud", name: str) -> Row:
    """The model of that name, or SageMaker's sentence that there is none."""
    row: Row | None = table(cloud, TABLE).get(name)
    if row is None:
        raise invalid(f'Could not find model "{arn(cloud, "model", name)}".')
    return row


def describe_model(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one model."""
    with lock(cloud):
        return describe("DescribeModel", find(cloud, request["ModelName"]))


def list_models(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name and time."""
    members = ("ModelName", "ModelArn", "CreationTime")
    with lock(cloud):
        rows = [
            {key: row[key] for key in members}
            for row in table(cloud, TABLE).values()
            if matches(row, request, "ModelName")
        ]
    key = "ModelName" if request.get("SortBy") == "Name" else "CreationTime"
    return listed("Models", rows, request, lambda row: row[key])


def delete_model(cloud: "Cloud", request: Row) -> None:
    """Forget a model; endpoints that run it go on running, as on AWS."""
    with lock(cloud):
        row = find(cloud, request["ModelName"])
        del table(cloud, TABLE)[row["ModelName"]]
        tags.forget(cloud, row["ModelArn"])


def archive(container: Row) -> tuple[str, bool] | None:
    """Where a container's model data is, and whether it is one packed archive."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source:
        return source["S3Uri"], source["CompressionType"] == "Gzip"
    return (container["ModelDataUrl"], True) if container.get("ModelDataUrl") else None


def _resolved(cloud: "Cloud", container: Row) -> Row:
    """The container that will run: a package's container if it names one, with what it says itself on top."""
    refuse(CREATE, container, ("AdditionalModelDataSources", "ImageConfig", "InferenceSpecificationName"))
    package = container.get("ModelPackageName")
    found = {**(_packaged(cloud, package) if package else {}), **container}
    if not found.get("Image"):
        raise invalid("PrimaryContainer needs an Image or a ModelPackageName.")
    try:
        cloud.images.find(found["Image"])
    except CloudError as error:
        raise invalid(f"Requested image {found['Image']} not found. {error.message}") from error
    _check_mode(found)
    data = archive(found)
    if data and found.get("Mode") != MULTI_MODEL and not transfers.exists(cloud, data[0]):
        raise invalid(f"Could not find model data at {data[0]}.")
    return found


def _check_mode(container: Row) -> None:
    """A container of many models names the prefix of their archives; which are there is found out when one is asked."""
    many = container.get("Mode") == MULTI_MODEL
    if container.get("MultiModelConfig") and not many:
        raise invalid("MultiModelConfig is for containers of Mode MultiModel.")
    if many and (container.get("ModelDataSource") or not container.get("ModelDataUrl")):
        raise invalid("A container of Mode MultiModel needs ModelDataUrl, the S3 prefix of its models.")


def _packaged(cloud: "Cloud", package: str) -> Row:
    row = registry.find(cloud, package)
    if row["ModelApprovalStatus"] != "Approved":
        raise invalid(f"Cannot create Model with unapproved Model Package {row['ModelPackageArn']}.")
    container: Row = row["InferenceSpecification"]["Containers"][0]
    members = ("Image", "ModelDataUrl", "ModelDataSource", "Environment")
    return {key: container[key] for key in members if key in container}


OPERATIONS = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "ListModels": list_models,
    "DeleteModel": delete_model,
}
