"""Texts that look like a secret, in what a change adds. A find is a problem; what is not found proves nothing."""

from pathlib import Path

from pipelines.secrets import PATTERNS

LARGEST = 2**20  # bytes of a file that is searched


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
