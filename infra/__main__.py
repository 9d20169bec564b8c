"""python -m infra deploy|describe|delete [--parameter Name=value ...]: the stack of infra/template.yml."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra import stack
from pipelines import project
from pipelines.errors import ProjectError

COMMANDS = {
    "deploy": "create the stack, or bring it up to date",
    "describe": "print its state and outputs",
    "delete": "delete it; its bucket must be empty",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m infra",
        description="The stack of infra/template.yml.",
        epilog="\n".join(["parameters:", *(f"  {name}: {what}" for name, what in stack.declared().items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("command", choices=COMMANDS, metavar="|".join(COMMANDS), help="; ".join(COMMANDS.values()))
    result.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", type=assignment,
        help="a parameter of the template; those not given keep their value, or come from project.yml",
    )  # fmt: skip
    return result


def assignment(text: str) -> tuple[str, str]:
    """`Name=value`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE; write --parameter Branch=main")
    return name, value


def run(argv: Sequence[str] | None) -> int:
    """Parse and dispatch."""
    arguments = parser().parse_args(argv)
    mine = project.load(Path.cwd())
    parameters = stack.own_parameters(mine) | dict(arguments.parameter)
    name = parameters["ProjectName"]
    cloud = stack.client(os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or mine.region)
    if arguments.command == "deploy":
        show(stack.deploy(cloud, name, parameters))
    elif arguments.command == "delete":
        print(f"stack {name}: {'deleted' if stack.delete(cloud, name) else 'there is none'}")
    else:
        found = stack.find(cloud, name)
        if found is None:
            raise ProjectError(f"stack {name}: does not exist; run `python -m infra deploy`")
        show(found)
    return 0


def show(found: dict[str, object]) -> None:
    """The stack's state, then its outputs one to a line."""
    print(f"stack {found['StackName']}: {found['StackStatus']}")
    outputs = found.get("Outputs", [])
    for output in outputs if isinstance(outputs, list) else []:
        print(f"  {output['OutputKey']}: {output['OutputValue']}")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 something to put right, 130 interrupted."""
    try:
        return run(argv)
    except (ProjectError, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    gc.disable()  # a short life: collecting among boto3's many small objects takes longer than what it frees is worth
    try:
        sys.exit(main())
    finally:
        gc.freeze()
