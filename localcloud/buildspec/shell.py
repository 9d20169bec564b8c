"""One shell session made of many shells: each command gets a fresh one that takes over the last one's state.

A single shell would end with the first `exit 1`; so every command's shell saves its variables and folder in an EXIT
trap, and the next one starts from them. bash also keeps functions. The cost is about 3 ms a command.
"""

import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from ..processes import Processes
from .halt import Halt

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_LINE = 128 * 1024  # CloudWatch takes events up to 256 KiB
_TAIL = 64 * 1024
_SCRIPT = """\
{state}
_codebuild_save() {{
  [ -e {folder} ] && return
  if [ -n "${{BASH_VERSION-}}" ]; then {{ declare -p; declare -f; }}; else {{ set; export -p; }}; fi > {file}
  pwd > {folder}
}}
trap '{{ export CODEBUILD_LAST_EXIT=$?; set +eux; _codebuild_save; }} 2>/dev/null' EXIT
. {command}
{{ export CODEBUILD_LAST_EXIT=$?; set +eux; _codebuild_save; }} 2>/dev/null
exit "$CODEBUILD_LAST_EXIT"
"""


@dataclass(frozen=True)
class Container:
    """What a build runs in: two private folders, an environment, a log and a way to be ended.

    `log` gets one line at a time, with every value of `secrets` already replaced by ***.
    """

    source: Path
    scratch: Path
    environment: Mapping[str, str]
    log: Callable[[str], None]
    processes: Processes
    halt: Halt
    secrets: frozenset[str] = frozenset()

    def say(self, line: str) -> None:
        """Log one line, masked."""
        self.log(self.mask(line))

    def mask(self, text: str) -> str:
        """`text` without secrets; of a secret with several lines each line is masked."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            for part in {secret, *(line for line in secret.splitlines() if len(line) > 3)}:
                text = text.replace(part, "***") if part.strip() else text
        return text


class Shell:
    """Runs the commands of one build; use as a context manager: leaving it ends what still runs in the background."""

    def __init__(self, container: Container, shell: str = "sh") -> None:
        self._container = container
        self._program = shutil.which(shell, path=container.environment.get("PATH")) or shell
        self._folder = container.scratch
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._number = 0
        self._state: Path | None = None  # what the last command left: its variables
        self._cwd = container.source  # and its folder
        self._background: list[subprocess.Popen[bytes]] = []
        self._output = _Output(container.say)
        self._changes: dict[str, str] = {}

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._background:
            self._container.processes.stop(process, grace=0.2)
        self._output.close()

    @property
    def tail(self) -> str:
        """The end of what the last command printed."""
        return self._output.tail

    def export(self, name: str, value: str) -> None:
        """Set a variable for the commands to come."""
        self._changes[name] = value

    def run(self, command: str) -> int:
        """Run one command to its end; its output is logged line by line. Returns its exit status, negative = signal."""
        return self._start(command)

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """What these variables hold now; a variable that is not set is left out."""
        path = self._folder / "values"
        tests = [f'[ -z "${{{name}+x}}" ] || printf \'%s\\0\' {name} "${name}"' for name in names]
        self._start("{ " + "\n".join([*tests, "true"]) + f"\n}} > {shlex.quote(str(path))}")
        words = path.read_bytes().decode(errors="replace").split("\0")[:-1] if path.exists() else []
        return dict(zip(words[::2], words[1::2], strict=True))

    def expand(self, text: str) -> str:
        """`text` with $variables and $(commands) replaced, as in an artifact's name."""
        if "$" not in text and "`" not in text:
            return text
        path = self._folder / "expanded"
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        self._start(f"printf '%s' \"{quoted}\" > {shlex.quote(str(path))}")
        return path.read_bytes().decode(errors="replace") if path.exists() else text

    def _start(self, command: str) -> int:
        if self._container.halt.reason:
            return -15
        self._number += 1  # new names each time: emptying an existing file costs milliseconds on ext4
        script = self._write(command)
        process = self._container.processes.start(
            [self._program, str(script)],
            env=self._environment(),
            cwd=self._cwd if self._cwd.is_dir() else self._container.source,
            stdout=self._output.descriptor,
        )
        status = self._container.halt.wait(process)
        if _has_members(process.pid):
            self._background.append(process)
        self._output.drain()
        self._remember()
        return status

    def _file(self, kind: str) -> Path:
        return self._folder / f"{self._number}.{kind}"

    def _write(self, command: str) -> Path:
        """The two files of a command: its own text, so that a syntax error ends nothing else, and what surrounds it."""
        target, script = self._file("command.sh"), self._file("script.sh")
        state = f". {shlex.quote(str(self._state))} 2>/dev/null\n" if self._state else ""
        state += "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self._changes.items())
        words = {"file": self._file("state.sh"), "folder": self._file("folder"), "command": target}
        target.write_text(f"{command}\n")
        script.write_text(_SCRIPT.format(state=state, **{key: shlex.quote(str(path)) for key, path in words.items()}))
        return script

    def _environment(self) -> dict[str, str]:
        """The first shell gets all; later ones only names no shell can hold: an `unset` would come undone."""
        given = self._container.environment
        if not self._state:
            return dict(given)
        return {name: value for name, value in given.items() if not _NAME.fullmatch(name)}

    def _remember(self) -> None:
        """Take over what the command saved; one that was killed saved nothing."""
        folder = self._file("folder")
        if folder.exists():
            self._state = self._file("state.sh")
            self._cwd = Path(os.fsdecode(folder.read_bytes().removesuffix(b"\n")))


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # PermissionError is macOS's word for a group of zombies
        return False
    return True


class _Output:
    """One pipe for the whole build; background processes may go on writing to it between commands."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._read, self.descriptor = os.pipe()
        self._token = token_hex(16).encode()
        self._drained = threading.Event()
        self._lines: list[str] = []
        self.tail = ""
        self._thread = threading.Thread(target=self._pump, name="build-output", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Return when all that was written before this call is logged: our own mark came out of the pipe."""
        self._drained.clear()
        os.write(self.descriptor, self._token + b"\n")
        self._drained.wait()
        self.tail = "\n".join(self._lines)[-_TAIL:]
        self._lines.clear()

    def close(self) -> None:
        """Stop reading; whoever still writes gets SIGPIPE."""
        os.write(self.descriptor, self._token + b".\n")
        self._thread.join()
        os.close(self.descriptor)
        os.close(self._read)

    def _pump(self) -> None:
        rest = b""
        while True:
            rest += os.read(self._read, 65536)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if line.endswith(self._token + b"."):
                    return
                self._take(line)
            if len(rest) > _LONGEST_LINE:
                self._take(rest)
                rest = b""

    def _take(self, line: bytes) -> None:
        text = line.removesuffix(self._token)
        if text or text == line:
            decoded = text.decode(errors="replace")
            self._lines.append(decoded)
            self._say(decoded)
        if text != line:
            self._drained.set()
