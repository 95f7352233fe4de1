"""A campaign: changed files through the commands, in this process. What comes out is what every command promises."""

import contextlib
import hashlib
import io
import json
import random
import re
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jsonschema

from kinspect import cli
from tests.campaign.mutation import mutated
from tests.campaign.seeds import FILE, FOLDER, OUTPUTS, Seed, seeds
from tests.conftest import ROOT
from tests.support import OverdueError, time_limit

SECONDS, HANGS, MEMORY = 2.0, 20.0, 200 << 20
"""What a command may take for a file of up to 1 MB: seconds of the processor, and more memory; when it is stopped."""
_RAW = ("config", "unpack", "trace", "--modinfo", "--tree", "--path", "--html")
"""Commands whose output is that of a file."""
_SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text()))


class Finding(NamedTuple):
    """What a command did that it must not do."""

    problem: str
    command: tuple[str, ...]
    path: str


class Campaign:
    """Files changed by a seeded generator. Each finding is written to a folder once."""

    def __init__(self, scratch: Path, out: Path, seed: int) -> None:
        self.out, self.runs = out, 0
        self.findings: list[Finding] = []
        self._scratch, self._draw = scratch, random.Random(seed)
        self._seeds, self._names = seeds(scratch)
        self._data = [one.data for one in self._seeds]
        self._known: set[str] = set()
        (scratch / "files").mkdir()

    def run(self, seconds: float) -> None:
        """Go on for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()

    def step(self) -> None:
        """Change one file and run one or two of its commands."""
        draw = self._draw
        seed = draw.choice(self._seeds)
        path = self._written(seed, seed.packed(mutated(seed.data, self._data, draw)))
        for command in draw.sample(seed.commands, min(2, len(seed.commands))):
            words = self._filled(command, path)
            if not set(command) & {*_RAW, "ksymvers"}:
                words = (*words, *draw.choice(OUTPUTS))
            self._checked(words, path)
        if seed.folder:
            path.write_bytes(seed.data)

    def _written(self, seed: Seed, data: bytes) -> Path:
        path = (seed.folder or self._scratch / "files") / seed.name
        path.write_bytes(data)
        return path

    def _filled(self, command: tuple[str, ...], path: Path) -> tuple[str, ...]:
        names = {FILE: str(path), FOLDER: str(path.parent)}
        return tuple(names.get(word) or self._names.get(word.strip("{}"), word) for word in command)

    def _checked(self, command: tuple[str, ...], path: Path) -> None:
        self.runs += 1
        problem = problem_of(command)
        if problem and (key := re.sub(r"\d+|/\S*", "", problem)) not in self._known:
            self._known.add(key)
            self.findings.append(Finding(problem, command, str(self._kept(problem, command, path))))

    def _kept(self, problem: str, command: tuple[str, ...], path: Path) -> Path:
        """The reproducer: the file, and a script with the command."""
        folder = self.out / hashlib.sha256(problem.encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        kept = Path(shutil.copy(path, folder / path.name))
        if str(path) not in command:
            shutil.copytree(path.parent, folder / "tree", dirs_exist_ok=True)
        words = shlex.join(command).replace(str(path), str(kept)).replace(str(path.parent), str(folder / "tree"))
        (folder / "run.sh").write_text(f"# {problem}\nkinspect {words}\n")
        return folder


def problem_of(command: tuple[str, ...]) -> str:
    """Run a command; what is wrong with what it did, or nothing."""
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    memory, start = _memory(), time.process_time()
    try:
        with time_limit(HANGS), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main(list(command))
    except OverdueError:
        return f"longer than {HANGS:.0f} s"
    # Nothing may come out of main() but a status.
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    seconds, memory = time.process_time() - start, _memory(peak=True) - memory
    text, errors = (_written(stream).decode("utf-8", "surrogateescape") for stream in (out, err))
    if "internal error" in errors:
        return errors.strip().partition("internal error: ")[2]
    if status not in (0, 1, 2):
        return f"status {status}"
    if seconds > SECONDS:
        return f"{command[0]} took more than {SECONDS} s: {seconds:.1f}"
    if memory > MEMORY:
        return f"{command[0]} took more than {MEMORY >> 20} MB: {memory >> 20}"
    return _wrong_text(command, text, errors, status)


def _written(stream: io.TextIOWrapper) -> bytes:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()


def _wrong_text(command: tuple[str, ...], text: str, errors: str, status: int) -> str:
    shown = errors if set(command) & set(_RAW) else text + errors
    if any(not line.isprintable() for line in shown.replace("\t", " ").splitlines()):
        return "a character that a terminal obeys"
    if re.search(r"^\s+::", shown, re.MULTILINE) or "##[" in shown:
        return "a line that a runner of GitHub obeys"
    if "--json" in command and text:
        document = json.loads(text)
        if not _SCHEMA.is_valid(document):
            return f"not as in the schema: {next(_SCHEMA.iter_errors(document)).message[:200]}"
        if document["exit_code"] != status:
            return "another exit status in JSON"
    return ""


def _memory(peak: bool = False) -> int:
    """The resident memory in bytes; its peak since the last call without `peak`."""
    if not peak:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+)" if peak else r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def report(campaign: Campaign) -> None:
    """Print what was found."""
    for finding in campaign.findings:
        sys.stdout.write(f"{finding.problem[:300]}\n    {finding.path}/run.sh\n")
    sys.stdout.write(f"{campaign.runs:,} commands, {len(campaign.findings)} findings\n")
