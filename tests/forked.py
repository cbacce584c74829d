"""Commands in a copy of this process: starting Python and importing torch takes longer than what most tests do.

Not for what starts Ray, which reads its environment when it is imported. A GPU cannot be used in a copy.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from lgc.cli.main import main


def lgc(
    *words: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``lgc WORDS``, with everything but the start-up of its interpreter."""
    return _copied(main, ["lgc", *map(str, words)], cwd, environment)


def script(
    *words: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``python WORDS``, the first of which is a file; what it imports of lgc is this checkout's."""
    command = list(map(str, words))
    return _copied(lambda: runpy.run_path(command[0], run_name="__main__"), command, cwd, environment)


def _copied(
    act: Callable[[], object], command: list[str], cwd: Path | None, environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            os.environ.update({**(environment or {}), "CUDA_VISIBLE_DEVICES": ""})
            if cwd is not None:
                os.chdir(cwd)
            _end_with_code(act, command)
        _, status = os.waitpid(child, 0)
        said, complained = (_text_of(file.fileno()) for file in (out, errors))
    return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status), said, complained)


def _end_with_code(act: Callable[[], object], command: list[str]) -> None:
    code: object = 1
    try:
        with open(1, "w", closefd=False) as sys.stdout, open(2, "w", closefd=False) as sys.stderr:
            sys.argv = command
            try:
                act()
                code = 0
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
                code = end.code
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)  # no test goes on in the copy


def _text_of(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, encoding="utf-8", closefd=False) as opened:
        return opened.read()
