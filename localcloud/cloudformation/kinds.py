"""What a resource type is made of, and how its properties become the input of an API call."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from localcloud.cloud import Cloud
from localcloud.service import CloudError

GONE = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")


@dataclass(frozen=True)
class Order:
    """One resource to create, update, describe or delete; its properties hold no function calls any more."""

    cloud: Cloud
    stack: str
    logical_id: str
    type: str
    properties: Mapping[str, Any]
    physical_id: str = ""
    previous: Mapping[str, Any] = field(default_factory=dict)
    claim: Callable[[str], None] = lambda physical_id: None  # a create of several calls tells after its first

    def name(self, key: str) -> str:
        """The name the template gives under `key`, or one made up as CloudFormation does."""
        given = self.properties.get(key)
        return str(given) if given else f"{self.stack}-{self.logical_id}-{secrets.token_hex(6).upper()}"

    def only(self, *keys: str) -> dict[str, Any]:
        """Those of the properties that the template gives."""
        return {key: self.properties[key] for key in keys if key in self.properties}

    def call(self, service: str, operation: str, **values: Any) -> dict[str, Any]:
        """Call the service with `values` fitted to the operation's input; returns its answer."""
        client = self.cloud.client(service)
        shape = client.meta.service_model.operation_model(operation).input_shape
        result = getattr(client, xform_name(operation))(**fit(values, shape, self.type))
        return dict(result)

    def drop(self, service: str, operation: str, **values: Any) -> None:
        """A call that takes something away; what is gone already is no error."""
        try:
            self.call(service, operation, **values)
        except ClientError as error:
            if not gone(error):
                raise


@dataclass(frozen=True)
class Kind:
    """How one resource type is made. `properties` are those it honours: any other is refused by name.

    A change to one of `fixed` makes a new resource. `attributes` asks the service, so it also proves that the
    resource exists; it must hold "Ref" where that is not the physical id.
    """

    create: Callable[[Order], str]
    update: Callable[[Order], None]
    delete: Callable[[Order], None]
    attributes: Callable[[Order], Mapping[str, Any]]
    properties: frozenset[str]
    fixed: frozenset[str] = frozenset()


def names(text: str) -> frozenset[str]:
    """A set of property names written with spaces between them."""
    return frozenset(text.split())


def check_properties(order: Order, kind: Kind) -> None:
    """Refuse a property this type does not honour: dropping it would make a template that lies."""
    for key in sorted(set(order.properties) - kind.properties):
        raise CloudError("ValidationError", f"localcloud does not support property {key} of {order.type}")


def fit(value: Any, shape: Any, path: str) -> Any:
    """`value` in the spelling and types of a botocore input shape; an unknown member is refused by its path."""
    return FITTERS.get(shape.type_name, _fit_scalar)(value, shape, path)


def _fit_structure(value: Any, shape: Any, path: str) -> dict[str, Any]:
    members = {name.lower(): name for name in shape.members}
    result = {}
    for key, item in _mapping(value, path).items():
        member = members.get(key.lower())
        if member is None:
            raise CloudError("ValidationError", f"localcloud does not support property {path}.{key}")
        result[member] = fit(item, shape.members[member], f"{path}.{key}")
    return result


def _fit_list(value: Any, shape: Any, path: str) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    return [fit(item, shape.member, f"{path}[{index}]") for index, item in enumerate(items)]


def _fit_map(value: Any, shape: Any, path: str) -> dict[str, Any]:
    if isinstance(value, list):  # tags: CloudFormation lists them, some services map them
        value = {item["Key"]: item["Value"] for item in value}
    return {str(key): fit(item, shape.value, f"{path}.{key}") for key, item in _mapping(value, path).items()}


def _mapping(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CloudError("ValidationError", f"Value of property {path} must be an object")
    return value


def _fit_scalar(value: Any, shape: Any, path: str) -> Any:
    kind = shape.type_name
    try:
        if kind == "boolean":
            return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
        if kind in {"integer", "long"}:
            return int(value)
        if kind in {"double", "float"}:
            return float(value)
    except (KeyError, TypeError, ValueError) as error:
        raise CloudError("ValidationError", f"Value of property {path} must be of type {kind.title()}") from error
    return as_string(value) if kind == "string" else value


def as_string(value: Any) -> str:
    """Text as APIs want it: documents as JSON, booleans in lower case."""
    if isinstance(value, dict | list | bool):
        return json.dumps(value)
    return str(value)


FITTERS: dict[str, Callable[[Any, Any, str], Any]] = {
    "structure": _fit_structure,
    "list": _fit_list,
    "map": _fit_map,
}


def gone(error: ClientError) -> bool:
    """Whether a service says that the thing to delete is not there."""
    return any(part in error.response["Error"]["Code"] for part in GONE)


def refuse_removal(order: Order) -> None:
    """For services whose update leaves out what is not named: taking a property away would do nothing."""
    for key in sorted(set(order.previous) - set(order.properties)):
        raise CloudError("ValidationError", f"localcloud cannot take property {key} away from a {order.type}; give it")


def sync_tags(order: Order, tag: Callable[[Any], Any], untag: Callable[[list[str]], Any]) -> None:
    """Bring the tags of an existing resource to those of the template."""
    wanted, before = order.properties.get("Tags", []), order.previous.get("Tags", [])
    stale = [item["Key"] for item in before if item["Key"] not in {new["Key"] for new in wanted}]
    if stale:
        untag(stale)
    if wanted != before and wanted:
        tag(wanted)


def removing(service: str, operation: str, member: str, **values: Any) -> Callable[[Order], None]:
    """Delete by one call that takes the physical id as `member`."""

    def remove(order: Order) -> None:
        order.call(service, operation, **{member: order.physical_id}, **values)

    return remove


def again(create: Callable[[Order], str]) -> Callable[[Order], None]:
    """Update of a type whose create call replaces all that was there."""

    def update(order: Order) -> None:
        create(order)

    return update
