"""Texts that look like a secret, in what a change adds. A find is a problem; what is not found proves nothing."""

import re
from pathlib import Path

LARGEST = 2**20  # bytes of a file that is searched
# what -> how it looks; a new kind is one line
PATTERNS: dict[str, re.Pattern[str]] = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    # a line break may be written as \n, and every line of the key is a part of it
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:(?:\s|\\n)+[A-Za-z0-9+/=]{16,})+"),
    "a GitLab token": re.compile(r"\bgl(?:pat|ptt|rt|cbt)-[A-Za-z0-9_-]{20,}"),
    "a GitHub token": re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})"),
}
# what is left of one where a long value was cut
CUT = re.compile(
    r"(?:\b(?:AKIA|ASIA|gl(?:pat|ptt|rt|cbt)-|gh[opsur]_|github_pat_)[\w-]*"
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^`]*?)(?=…|\.\.\.)"
)


def found(root: Path, paths: list[str]) -> list[str]:
    """`path: line 3 looks like a GitLab token; ...` for each file of the change; never the secret itself."""
    problems = []
    for path in paths:
        file = root / path
        if file.is_file() and file.stat().st_size <= LARGEST:
            text = file.read_text(encoding="utf-8", errors="replace")
            problems += [
                f"{path}: line {text.count(chr(10), 0, match.start()) + 1} looks like {kind}; revoke it and take it out"
                for kind, pattern in PATTERNS.items()
                for match in [pattern.search(text)]
                if match
            ]
    return problems


def masked(text: str) -> str:
    """The text with *** for whatever looks like a secret: a plan shows values of the change."""
    for pattern in (*PATTERNS.values(), CUT):
        text = pattern.sub("***", text)
    return text
