"""Check a definition before anything is started: calls against botocore's shapes, references against their targets.

The JSON schema that is published for pipeline definitions rejects what the SDK itself writes, so it is not used.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pipelines.errors import ProjectError, nearest

CALLS = {
    "Processing": ("CreateProcessingJob", "ProcessingJobName"),
    "Training": ("CreateTrainingJob", "TrainingJobName"),
    "Tuning": ("CreateHyperParameterTuningJob", "HyperParameterTuningJobName"),
}
# what a step of each type lets others read: the output of these calls
DESCRIBED = {
    "Processing": ("DescribeProcessingJob",),
    "Training": ("DescribeTrainingJob",),
    "Tuning": ("DescribeHyperParameterTuningJob", "ListTrainingJobsForHyperParameterTuningJob"),
}
EXECUTION = {
    "PipelineArn",
    "PipelineName",
    "PipelineExecutionArn",
    "PipelineExecutionId",
    "StartDateTime",
    "CurrentDateTime",
}
DUMMY = "s3://reference/value"


def validate(definition: Mapping[str, Any]) -> None:
    """Raise ProjectError naming the first step and reference that SageMaker would reject."""
    steps = {step["Name"]: step for step in every_step(definition["Steps"])}
    parameters = {parameter["Name"]: parameter for parameter in definition["Parameters"]}
    for name, step in steps.items():
        for where, expression in references(step["Arguments"], "Arguments"):
            problem = broken(expression, steps, parameters)
            if problem:
                raise ProjectError(f"definition: {name}: {where}: {problem}")
        check_call(step, parameters)


def every_step(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All steps, those inside conditions too. Raises ProjectError for a name that is used twice."""
    seen: set[str] = set()
    waiting = list(steps)
    while waiting:
        step = waiting.pop(0)
        if step["Name"] in seen:
            raise ProjectError(f"definition: {step['Name']}: two steps of that name; each needs its own")
        seen.add(step["Name"])
        if step["Type"] == "Condition":
            waiting += step["Arguments"]["IfSteps"] + step["Arguments"]["ElseSteps"]
            step = {**step, "Arguments": {"Conditions": step["Arguments"]["Conditions"]}}
        yield step


def references(content: Any, where: str) -> Iterator[tuple[str, str]]:
    """(place, expression) of each {"Get": expression} in a step's arguments."""
    if isinstance(content, Mapping):
        if set(content) == {"Get"}:
            yield where, content["Get"]
            return
        for key, value in content.items():
            yield from references(value, f"{where}.{key}")
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from references(value, f"{where}[{index}]")


def broken(expression: str, steps: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """What is wrong with a reference, or None."""
    kind, _, rest = expression.partition(".")
    if kind == "Parameters":
        return missing("parameter", rest, parameters)
    if kind == "Execution":
        return missing("execution variable", rest, EXECUTION)
    if kind != "Steps":
        return f"{expression}: not a reference; it begins with Parameters, Execution or Steps"
    name, _, path = rest.partition(".")
    return missing("step", name, steps) or broken_property(steps[name], path)


def missing(kind: str, name: str, known: Any) -> str | None:
    """A sentence when the name is not among the known ones."""
    if name in known:
        return None
    match = nearest(name, known)
    return f"no {kind} {name}; " + (f"did you mean {match}?" if match else f"there are {', '.join(sorted(known))}")


def broken_property(step: Mapping[str, Any], path: str) -> str | None:
    """What is wrong with the part of a reference after the step's name, or None."""
    found = re.fullmatch(r"PropertyFiles\.(\w+)", path)
    if found:
        return missing(
            "property file", found[1], {entry["PropertyFileName"] for entry in step.get("PropertyFiles", [])}
        )
    found = re.fullmatch(r"OutputParameters\['(\w+)'\]", path)
    if found:
        return missing("output", found[1], {entry["OutputName"] for entry in step.get("OutputParameters", [])})
    found = re.search(r"Outputs\['([\w-]+)'\]", path)
    if found:
        outputs = step["Arguments"].get("ProcessingOutputConfig", {}).get("Outputs", [])
        problem = missing("output", found[1], {entry["OutputName"] for entry in outputs})
        if problem:
            return problem
    return unknown_member(step, path)


def unknown_member(step: Mapping[str, Any], path: str) -> str | None:
    """A sentence when the answers of the step's calls have no such member."""
    if step["Type"] not in DESCRIBED:
        return f"a {step['Type']} step has no property {path}"
    shapes = [service().operation_model(name).output_shape for name in DESCRIBED[step["Type"]]]
    unknown = [lost_at(shape, path) for shape in shapes]
    return None if None in unknown else f"{step['Name']} has no property {path}; {unknown[0]} is unknown"


def lost_at(shape: Any, path: str) -> str | None:
    """The part of a path that the shape does not have, or None."""
    for part in re.sub(r"\[[^]]*\]", "[]", path).replace("[]", ".[]").split("."):
        if part == "[]":
            shape = shape.member
        elif part in getattr(shape, "members", {}):
            shape = shape.members[part]
        else:
            return part
    return None


def check_call(step: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """The step's arguments against the input shape of its API call, references replaced by values of their type."""
    from botocore.validate import ParamValidator

    if step["Type"] not in CALLS:
        return
    operation, job_name = CALLS[step["Type"]]
    shape = service().operation_model(operation).input_shape
    request = {job_name: "x", **filled(step["Arguments"], parameters)}
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        problem = report.generate_report().splitlines()[0]
        raise ProjectError(f"definition: {step['Name']}: {operation} would refuse it: {problem}")


def filled(content: Any, parameters: Mapping[str, Any]) -> Any:
    """Arguments with each reference replaced by a value of the type it will have.

    A number where only text is allowed (a hyperparameter, an argument) is left a number, so the check finds it.
    """
    if isinstance(content, list):
        return [filled(value, parameters) for value in content]
    if not isinstance(content, Mapping):
        return content
    if set(content) == {"Get"}:
        kind, _, name = content["Get"].partition(".")
        of_type = parameters[name]["Type"] if kind == "Parameters" else "String"
        return {"Integer": 1, "Float": 1.0, "Boolean": True}.get(of_type, DUMMY)
    if len(content) == 1 and next(iter(content)).startswith("Std:"):
        return DUMMY
    return {key: filled(value, parameters) for key, value in content.items()}


@cache
def service() -> Any:
    """botocore's model of SageMaker."""
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")
