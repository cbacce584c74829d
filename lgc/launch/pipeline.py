"""Runs the stages of the pipeline that are out of date, those that need nothing of one another at once.

DVC runs one stage after the other, but lets go of its lock while a stage's command runs. So several ``dvc repro`` of
one stage each can be under way: they share the files they read, and write ``dvc.lock`` in turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import psutil

from lgc.errors import LgcError
from lgc.launch.interrupts import on_signals
from lgc.progress import ROW

SIDE_BY_SIDE: Final = "LGC_SIDE_BY_SIDE"
"""Variable that tells a stage how many share this machine's cores, itself among them."""
_LOOK_SECONDS: Final = 0.1


def stages_to_run() -> dict[str, set[str]]:
    """Stages that changed and those that need one, by name, each with the names it has to wait for.

    Raises :class:`LgcError` with DVC's own words where it cannot tell.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with contextlib.closing(Repo()) as repo:
            graph = repo.index.graph.adjacency()
            needs = {stage.addressing: {needed.addressing for needed in every} for stage, every in graph}
            return with_dependents(needs, repo.status())
    except DvcException as error:
        raise LgcError(f"dvc: {error}") from error


def with_dependents(needs: Mapping[str, set[str]], changed: Iterable[str]) -> dict[str, set[str]]:
    """The part of the graph ``needs`` that is ``changed`` or needs, however far away, what is."""
    chosen = needs.keys() & set(changed)
    while more := {name for name, these in needs.items() if these & chosen} - chosen:
        chosen |= more
    return {name: needs[name] & chosen for name in needs if name in chosen}


def run_stages(
    needs: Mapping[str, set[str]],
    command: Callable[[str], Sequence[str]],
    at_once: int,
    environment: Mapping[str, str],
) -> int:
    """Run the command of every stage, up to ``at_once`` together, each as soon as what it needs is there.

    After one failed, or somebody asked to stop, no other begins, and those under way are waited for. Every command
    gets a process group of its own and is asked to stop when we are, once each time (several signals within a tenth
    of a second are one): a terminal's Ctrl-C would reach
    its stage beside us, while a scheduler or ``kill`` would end us alone and leave the stage behind without its Ray.

    Returns:
        0, the exit code of the first that failed, or 128 and the number of the signal that stopped it. A signal that
        came too late to keep any stage from its end stopped nothing.
    """
    waiting = {name: set(these) for name, these in needs.items()}
    running: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}
    asked: list[int] = []
    told: set[tuple[int, int]] = set()
    code = 0

    def begin(name: str, together: int) -> None:
        row = min(set(range(at_once)) - {row for row, _ in running.values()})
        shared = {**environment, SIDE_BY_SIDE: str(together), ROW: str(row)}
        running[name] = row, subprocess.Popen(command(name), env=shared, start_new_session=True)
        del waiting[name]

    with _noting(asked):
        while True:
            ready = [] if code else [name for name, these in waiting.items() if not these]
            together = min(at_once, len(running) + len(ready))
            for name in ready[: at_once - len(running)]:
                if not asked:  # which may have happened while another began
                    begin(name, together)
            if not running:
                break
            for _, child in running.values() if asked else ():
                _tell(child.pid, len(asked), told)
            time.sleep(_LOOK_SECONDS)
            for name in [name for name, (_, child) in running.items() if child.poll() is not None]:
                ended = running.pop(name)[1].returncode
                code = code or ended
                for these in waiting.values() if not ended else ():
                    these.discard(name)
    return 128 + asked[0] if asked and (code or waiting) else code


@contextlib.contextmanager
def _noting(asked: list[int]) -> Iterator[None]:
    """Add each signal that asks to stop to ``asked``; those that are ignored stay without effect on us.

    The background of a script ignores SIGINT, and so would all that is started there: stages, which are told by it,
    would go on until they are killed. Where we handle it, even by doing nothing, they begin with its default.
    """
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    ignored = {number for number in numbers if signal.getsignal(number) == signal.SIG_IGN}
    with on_signals(numbers - ignored, asked.append), on_signals(ignored & {signal.SIGINT}, lambda _: None):
        yield


def _tell(leader: int, time_asked: int, told: set[tuple[int, int]]) -> None:
    """Interrupt a command's process group, unless it was told this time; ``told`` holds who was, and which time.

    DVC takes no signal while a stage runs. Where that one came to its end all the same, ``dvc repro`` of several is
    left to write down the outcome, and the stage that it begins next is ended: that counts as failed. Not by SIGINT,
    which a Python that starts may lose.
    """
    below = {(time_asked, process.pid): process for process in _descendants(leader)}
    if (time_asked, leader) not in told:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended; macOS says the latter
            os.killpg(leader, signal.SIGINT)
    elif told.isdisjoint(below):
        for process in below.values():
            with contextlib.suppress(psutil.Error):
                process.terminate()
    else:
        return
    told |= {(time_asked, leader), *below}


def _descendants(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return list(psutil.Process(pid).children(recursive=True))
    return []
