"""SageMaker's operations as botocore's model has them: what they take and what they answer."""

from typing import Any

from ..models import operation_model
from ..reading import Validator
from .store import Row, invalid

SERVICE = "sagemaker"


def check(operation: str, request: Row) -> None:
    """Hold a request that no client has made to the same model as those from outside."""
    errors = Validator().validate(request, _model(operation).input_shape)
    if errors.has_errors():
        raise invalid(errors.generate_report())


def members(operation: str) -> set[str]:
    """The member names that an operation accepts."""
    return set(_model(operation).input_shape.members)


def describe(operation: str, record: Row) -> Row:
    """The part of a record that an operation answers."""
    known = _model(operation).output_shape.members
    return {key: value for key, value in record.items() if key in known and value is not None}


def _model(operation: str) -> Any:
    model = operation_model(SERVICE, operation)
    if model is None:
        raise LookupError(f"botocore has no operation {SERVICE}:{operation}")
    return model
