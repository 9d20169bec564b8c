"""Pipelines and their versions: Create, Update, Describe, Delete, List."""

from typing import TYPE_CHECKING, Any

from ..service import CloudError
from . import execution as executions
from . import tags, transfers
from .definition import parse
from .store import Row, arn, between, invalid, listed, lock, name_of, now, refuse, table

if TYPE_CHECKING:
    from ..cloud import Cloud

TABLE = "pipelines"
_MEMBERS = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")


def create_pipeline(cloud: "Cloud", request: Row) -> Row:
    """A new pipeline with version 1; the same ClientRequestToken answers the same pipeline."""
    refuse("CreatePipeline", request, ("PipelineVersionAliases",))
    name, token = request["PipelineName"], request["ClientRequestToken"]
    definition = _definition(cloud, request) or ""
    parse(definition)
    with lock(cloud):
        existing: Row | None = table(cloud, TABLE).get(name)
        if existing and existing["Token"] == token:
            return {"PipelineArn": existing["PipelineArn"]}
        if existing:
            raise invalid(
                "Pipeline names must be unique within an AWS account and region. "
                f"Pipeline with name ({name}) already exists."
            )
        row: Row = {
            "PipelineName": name,
            "PipelineDisplayName": name,
            "PipelineArn": arn(cloud, "pipeline", name),
            "PipelineStatus": "Active",
            "CreationTime": now(),
            "CreatedBy": {},
            "Versions": [],
            "Token": token,
        }
        _change(row, request, definition)
        table(cloud, TABLE)[name] = row
    tags.keep(cloud, row["PipelineArn"], request.get("Tags"))
    return {"PipelineArn": row["PipelineArn"]}


def update_pipeline(cloud: "Cloud", request: Row) -> Row:
    """Change a pipeline; each update writes a new version, which running executions do not see."""
    refuse("UpdatePipeline", request, ("PipelineVersionAliases",))
    row = find(cloud, request["PipelineName"])
    definition = _definition(cloud, request) or row["Versions"][-1]["PipelineDefinition"]
    parse(definition)
    with lock(cloud):
        _change(row, request, definition)
        return {"PipelineArn": row["PipelineArn"], "PipelineVersionId": row["Versions"][-1]["PipelineVersionId"]}


def describe_pipeline(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one pipeline, with the definition of its latest or of the asked version."""
    refuse("DescribePipeline", request, ("PipelineVersionAlias",))
    with lock(cloud):
        row = find(cloud, request["PipelineName"])
        found = version(row, request.get("PipelineVersionId"))
        answer = {key: value for key, value in row.items() if key not in ("Versions", "Token")}
        names = ("PipelineVersionDisplayName", "PipelineVersionDescription")
        shown = {key: found[key] for key in names if key in found}
        return {**answer, "PipelineDefinition": found["PipelineDefinition"], **shown}


def delete_pipeline(cloud: "Cloud", request: Row) -> Row:
    """Remove a pipeline that runs nothing, its versions and its executions."""
    with lock(cloud):
        row = find(cloud, request["PipelineName"])
        mine = executions.of_pipeline(cloud, row["PipelineArn"])
        if any(execution.status in ("Executing", "Stopping") for execution in mine):
            raise CloudError("ConflictException", f"Pipeline {row['PipelineArn']} has running executions.")
        for execution in mine:
            del table(cloud, executions.TABLE)[execution.arn]
        del table(cloud, TABLE)[row["PipelineName"]]
        tags.forget(cloud, row["PipelineArn"])
    return {"PipelineArn": row["PipelineArn"]}


def list_pipelines(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by prefix and time."""
    members = (
        "PipelineArn",
        "PipelineName",
        "PipelineDisplayName",
        "PipelineDescription",
        "RoleArn",
        "CreationTime",
        "LastModifiedTime",
    )
    with lock(cloud):
        rows = [
            {
                **{key: row[key] for key in members if key in row},
                **({"LastExecutionTime": row["LastRunTime"]} if "LastRunTime" in row else {}),
            }
            for row in table(cloud, TABLE).values()
            if row["PipelineName"].startswith(request.get("PipelineNamePrefix", "")) and between(row, request)
        ]
    key = "PipelineName" if request.get("SortBy") == "Name" else "CreationTime"
    return listed("PipelineSummaries", rows, request, lambda row: row[key])


def list_pipeline_versions(cloud: "Cloud", request: Row) -> Row:
    """Every version a Create or an Update has written."""
    with lock(cloud):
        row = find(cloud, request["PipelineName"])
        hidden = ("PipelineDefinition",)
        rows = [
            {key: value for key, value in item.items() if key not in hidden}
            for item in row["Versions"]
            if between(item, request)
        ]
    return listed("PipelineVersionSummaries", rows, request, lambda item: item["PipelineVersionId"])


def update_pipeline_version(cloud: "Cloud", request: Row) -> Row:
    """Name and describe a version."""
    refuse("UpdatePipelineVersion", request, ("PipelineVersionAliasOperations",))
    names = ("PipelineVersionDisplayName", "PipelineVersionDescription")
    with lock(cloud):
        found = version(find(cloud, request["PipelineArn"]), request["PipelineVersionId"])
        found.update({key: request[key] for key in names if key in request})
        return {"PipelineArn": found["PipelineArn"], "PipelineVersionId": found["PipelineVersionId"]}


def find(cloud: "Cloud", name_or_arn: str) -> Row:
    """The pipeline of that name or ARN, or SageMaker's sentence that there is none."""
    name = name_of(name_or_arn)
    row: Row | None = table(cloud, TABLE).get(name)
    if row is None:
        raise CloudError("ResourceNotFound", f"Pipeline '{arn(cloud, 'pipeline', name)}' does not exist.")
    return row


def version(row: Row, number: int | None) -> Row:
    """One version of a pipeline; the latest if no number is given."""
    versions: list[Row] = row["Versions"]
    if number is None:
        return versions[-1]
    if not 1 <= number <= len(versions):
        raise CloudError("ResourceNotFound", f"Pipeline version {number} of '{row['PipelineArn']}' does not exist.")
    return versions[number - 1]


def _definition(cloud: "Cloud", request: Row) -> str | None:
    place: Any = request.get("PipelineDefinitionS3Location")
    if place and request.get("PipelineDefinition"):
        raise invalid("Give either PipelineDefinition or PipelineDefinitionS3Location, not both.")
    if not place:
        return request.get("PipelineDefinition")
    try:
        return transfers.read(cloud, f"s3://{place['Bucket']}/{place['ObjectKey']}").decode()
    except (transfers.TransferError, UnicodeDecodeError) as error:
        raise invalid(f"Unable to read the pipeline definition: {error}") from error


def _change(row: Row, request: Row, definition: str) -> None:
    moment = now()
    row.update({member: request[member] for member in _MEMBERS if member in request})
    row.update(LastModifiedTime=moment, LastModifiedBy={})
    row["Versions"].append(
        {
            "PipelineArn": row["PipelineArn"],
            "PipelineVersionId": len(row["Versions"]) + 1,
            "PipelineDefinition": definition,
            "CreationTime": moment,
        }
    )


OPERATIONS = {
    "CreatePipeline": create_pipeline,
    "UpdatePipeline": update_pipeline,
    "DescribePipeline": describe_pipeline,
    "DeletePipeline": delete_pipeline,
    "ListPipelines": list_pipelines,
    "ListPipelineVersions": list_pipeline_versions,
    "UpdatePipelineVersion": update_pipeline_version,
}
