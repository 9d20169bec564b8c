"""SageMaker on this machine: jobs, pipelines, the model registry and endpoints, each of them really run."""

from ..service import Service
from . import (
    capacities,
    endpoint_configs,
    endpoints,
    executions,
    models,
    pipelines,
    processing,
    registry,
    registry_groups,
    runtime,
    tags,
    training,
    transform,
    tuning,
    updates,
)

_MODULES = (
    training,
    processing,
    transform,
    tuning,
    pipelines,
    executions,
    registry_groups,
    registry,
    models,
    endpoint_configs,
    endpoints,
    updates,
    capacities,
    tags,
)

SERVICE = Service(
    "sagemaker", {name: operation for module in _MODULES for name, operation in module.OPERATIONS.items()}
)
RUNTIME = Service("sagemaker-runtime", runtime.OPERATIONS)
