"""The resource policy of a function: kept and shown, not enforced."""

import json
import re
from typing import TYPE_CHECKING, Any

from ..service import CloudError
from .state import find, state

if TYPE_CHECKING:
    from ..cloud import Cloud


def add_permission(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """AddPermission."""
    identity = request["StatementId"]
    with state(cloud).lock:
        function = find(cloud, request["FunctionName"], request.get("Qualifier"))
        if identity in function.statements:
            message = (
                f"The statement id ({identity}) provided already exists. Please provide a new statement id, "
                "or remove the existing statement."
            )
            raise CloudError("ResourceConflictException", message, 409)
        function.statements[identity] = _statement(request, function.configuration["FunctionArn"])
    return {"Statement": json.dumps(function.statements[identity])}


def get_policy(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """GetPolicy."""
    function = find(cloud, request["FunctionName"], request.get("Qualifier"))
    if not function.statements:
        raise CloudError("ResourceNotFoundException", "The resource you requested does not exist.", 404)
    policy = {"Version": "2012-10-17", "Id": "default", "Statement": list(function.statements.values())}
    return {"Policy": json.dumps(policy), "RevisionId": function.configuration["RevisionId"]}


def remove_permission(cloud: "Cloud", request: dict[str, Any]) -> None:
    """RemovePermission."""
    with state(cloud).lock:
        function = find(cloud, request["FunctionName"], request.get("Qualifier"))
        if function.statements.pop(request["StatementId"], None) is None:
            message = f"Statement {request['StatementId']} is not found in resource policy."
            raise CloudError("ResourceNotFoundException", message, 404)


def _statement(request: dict[str, Any], resource: str) -> dict[str, Any]:
    principal = request["Principal"]
    if re.fullmatch(r"\d{12}", principal):
        principal = f"arn:aws:iam::{principal}:root"
    who: Any = {"Service": principal} if principal.endswith((".amazonaws.com", ".aws.internal")) else {"AWS": principal}
    condition: dict[str, dict[str, str]] = {}
    if "SourceArn" in request:
        condition["ArnLike"] = {"AWS:SourceArn": request["SourceArn"]}
    if "SourceAccount" in request:
        condition["StringEquals"] = {"AWS:SourceAccount": request["SourceAccount"]}
    return {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else who,
        "Action": request["Action"],
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }
