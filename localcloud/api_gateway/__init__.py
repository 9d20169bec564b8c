"""API Gateway v2: HTTP APIs whose routes really invoke Lambda functions, served below /_api/<api id>/."""

from ..service import Service
from . import apis
from .door import PREFIX, Door

__all__ = ["PREFIX", "SERVICE", "Door"]

SERVICE = Service("apigatewayv2", apis.OPERATIONS)
