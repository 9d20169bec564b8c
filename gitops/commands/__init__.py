"""Each command: arguments and settings in, exit code out. Imports wait until they are needed, so --help is quick."""

from typing import Any

from gitops.commands import data, delivery, oncall, planning
from gitops.commands.delivery import Command

# a new command is one function in one of these, and one line in its COMMANDS
GROUPS = (delivery, data, planning, oncall)
COMMANDS: dict[str, Command] = {name: command for group in GROUPS for name, command in group.COMMANDS.items()}


def add_parsers(verbs: Any) -> None:
    """The arguments of all commands."""
    for group in GROUPS:
        group.add_parsers(verbs)
