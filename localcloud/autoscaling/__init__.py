"""Application Auto Scaling for the instances of an endpoint's variants: targets, policies, and the scaling itself."""

from ..service import Service
from . import policies, targets

SERVICE = Service("application-autoscaling", {**targets.OPERATIONS, **policies.OPERATIONS})
