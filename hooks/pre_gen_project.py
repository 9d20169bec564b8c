"""Refuse answers that would fail later, in AWS or in git. Standard library only, no network."""

import re
import sys

RULES = {
    "project_slug": (
        "{{ cookiecutter.project_slug }}",
        r"(?=.{4,32}$)[a-z](-?[a-z0-9])+",
        "4 to 32 lower-case letters, digits and single dashes, starting with a letter",
    ),
    "owner": ("{{ cookiecutter.owner }}", r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "one word: letters, digits, . _ -"),
    "region": ("{{ cookiecutter.region }}", r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region, such as eu-west-1"),
    "git_url": ("{{ cookiecutter.git_url }}", r"https?://[A-Za-z0-9.-]+(:\d+)?(/[\w.-]+)*", "an address: https://host"),
    "git_project": (
        "{{ cookiecutter.git_project }}",
        r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)+",
        "a path: group/project",
    ),
    "git_branch": (
        "{{ cookiecutter.git_branch }}",
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
        "a branch, no slashes",
    ),
}

wrong = [
    f"{name}: {value!r} will not do; it must be {rule}"
    for name, (value, pattern, rule) in RULES.items()
    if not re.fullmatch(pattern, value)
]
if wrong:
    sys.exit("\n".join(wrong))
