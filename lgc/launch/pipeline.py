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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

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
    gets a process group of its own and is asked to stop when we are, once: a terminal's Ctrl-C would reach its stage
    beside us, while a scheduler or ``kill`` would end us alone and leave the stage behind without its Ray.

    Returns:
        0, the exit code of the first that failed, or 128 and the number of the signal that stopped it.
    """
    waiting = {name: set(these) for name, these in needs.items()}
    running: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}
    asked: list[int] = []
    code = 0

    def pass_on(signum: int) -> None:
        asked.append(signum)
        for _, child in running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGINT)

    def begin(name: str, together: int) -> None:
        row = min(set(range(at_once)) - {row for row, _ in running.values()})
        told = {**environment, SIDE_BY_SIDE: str(together), ROW: str(row)}
        running[name] = row, subprocess.Popen(command(name), env=told, start_new_session=True)
        del waiting[name]

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    with on_signals(numbers, pass_on):
        while True:
            ready = [] if code or asked else [name for name, these in waiting.items() if not these]
            together = min(at_once, len(running) + len(ready))
            for name in ready[: at_once - len(running)]:
                begin(name, together)
            if not running:
                return 128 + asked[0] if asked and code else code
            time.sleep(_LOOK_SECONDS)
            for name in [name for name, (_, child) in running.items() if child.poll() is not None]:
                ended = running.pop(name)[1].returncode
                code = code or ended
                for these in waiting.values() if not ended else ():
                    these.discard(name)
