"""What a training script finds in its environment: the contract of AWS's sagemaker-training toolkit."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# resolvable names only: the toolkit waits a quarter of an hour for a host that does not resolve
HOST = "localhost"
GROUP = "homogeneousCluster"


@dataclass(frozen=True)
class Layout:
    """Where a training container keeps things; on AWS `base` is /opt/ml."""

    base: Path

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def config(self) -> Path:
        return self.base / "input" / "config"

    @property
    def output(self) -> Path:
        return self.base / "output"

    def channel(self, name: str) -> Path:
        return self.base / "input" / "data" / name

    def create(self) -> None:
        """Make the folders every training container has."""
        for path in (self.code, self.model, self.config, self.output / "data", self.base / "checkpoints"):
            path.mkdir(parents=True, exist_ok=True)


def resource_config(instance_type: str, hosts: Sequence[str] = (HOST,), current: str = HOST) -> dict[str, Any]:
    """resourceconfig.json as the instance `current` of these hosts finds it."""
    names = list(hosts)
    return {
        "current_host": current,
        "current_instance_type": instance_type,
        "current_group_name": GROUP,
        "hosts": names,
        "instance_groups": [{"instance_group_name": GROUP, "instance_type": instance_type, "hosts": names}],
        "network_interface_name": "eth0",
    }


def decode(hyperparameters: dict[str, str]) -> dict[str, Any]:
    """Hyperparameters as the toolkit reads them: JSON where they parse, the text where not."""
    decoded: dict[str, Any] = {}
    for name, value in hyperparameters.items():
        try:
            decoded[name] = json.loads(value)
        except ValueError:
            decoded[name] = value
    return decoded


def arguments(hyperparameters: dict[str, Any]) -> list[str]:
    """The script's arguments: `--name value` (`-n value` for one letter) sorted by name."""
    words: list[str] = []
    for name in sorted(hyperparameters):
        words += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(hyperparameters[name])]
    return words


def script_parameters(hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters that are the script's own."""
    return {
        name: value
        for name, value in hyperparameters.items()
        if not name.startswith("sagemaker_") and name not in TOOLKITS_OWN
    }


def environment(
    layout: Layout, hyperparameters: dict[str, Any], channels: dict[str, Any], resources: dict[str, Any]
) -> dict[str, str]:
    """Every SM_* variable that the toolkit sets for a script, from decoded hyperparameters."""
    own = script_parameters(hyperparameters)
    program = hyperparameters.get("sagemaker_program")
    facts: dict[str, Any] = {
        "hps": own,
        "user_args": arguments(own),
        "user_entry_point": program,
        "module_name": str(program).removesuffix(".py") if program else None,
        "module_dir": str(hyperparameters.get("sagemaker_submit_directory", layout.code)),
        "framework_params": _framework(hyperparameters),
        "framework_module": None,
        "log_level": hyperparameters.get("sagemaker_container_log_level", 20),
        "channels": sorted(channels),
        "input_data_config": channels,
        "input_dir": str(layout.base / "input"),
        "input_config_dir": str(layout.config),
        "model_dir": str(layout.model),
        "output_dir": str(layout.output),
        "output_data_dir": str(layout.output / "data"),
        "output_intermediate_dir": str(layout.output / "intermediate"),
        **_machine(resources),
    }
    facts["training_env"] = _training_env(facts, layout, own, channels)
    facts |= {f"channel_{name}": str(layout.channel(name)) for name in channels}
    facts |= {f"hp_{name}": value for name, value in own.items()}
    return {f"SM_{name.upper()}": _variable(value) for name, value in facts.items()}


def _machine(resources: dict[str, Any]) -> dict[str, Any]:
    group = resources["instance_groups"][0]
    return {
        "hosts": resources["hosts"],
        "current_host": resources["current_host"],
        "current_instance_type": resources["current_instance_type"],
        "current_instance_group": GROUP,
        "current_instance_group_hosts": resources["hosts"],
        "instance_groups": [GROUP],
        "instance_groups_dict": {GROUP: group},
        "distribution_instance_groups": [],
        "is_hetero": False,
        "network_interface_name": resources["network_interface_name"],
        "resource_config": resources,
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "num_neurons": 0,
    }


# read by the toolkit itself; every other sagemaker_* hyperparameter is the framework's
TOOLKITS_OWN = {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_s3_output",
    "default_user_module_name",
    "_tuning_objective_metric",
}
# the toolkit's properties that it gives as variables under other names, or only as a command line
_NOT_PROPERTIES = {"hps", "user_args", "framework_params", "channels"}


def _training_env(
    facts: dict[str, Any], layout: Layout, hyperparameters: dict[str, Any], channels: dict[str, Any]
) -> dict[str, Any]:
    """SM_TRAINING_ENV: every property of the toolkit's environment in one variable."""
    return {
        **{name: value for name, value in facts.items() if name not in _NOT_PROPERTIES},
        "additional_framework_parameters": facts["framework_params"],
        "channel_input_dirs": {name: str(layout.channel(name)) for name in channels},
        "distribution_hosts": facts["hosts"],
        "hyperparameters": hyperparameters,
        "is_master": facts["current_host"] == facts["hosts"][0],
        "is_modelparallel_enabled": None,
        "job_name": None,
        "master_hostname": facts["hosts"][0],
    }


def _framework(hyperparameters: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in hyperparameters.items()
        if name.startswith("sagemaker_") and name not in TOOLKITS_OWN
    }


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return "" if value is None else str(value)


def _variable(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
