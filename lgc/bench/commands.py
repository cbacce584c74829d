"""Seconds and peak memory of whole commands, each in a process of its own: what starting costs is in it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from lgc.bench.pictures import face
from lgc.bench.turns import Spread
from lgc.errors import LgcError, last_line

LIBRARIES: Final = "libraries alone"
_IMPORT: Final = "import constriction, numpy, PIL.Image, safetensors.torch, torch, typer"
_WATCH: Final = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Starts a command from a small process: on Linux a child's peak begins with what its parent had at most."""
_KIB_PER_UNIT: Final = 1 / 1024 if sys.platform == "darwin" else 1
"""``ru_maxrss`` counts bytes on macOS and KiB on Linux."""


@dataclass(frozen=True)
class CommandRow:
    """One command on one picture."""

    command: str
    height: int
    width: int
    seconds: Spread
    peak_mib: float
    """The largest resident set of any round."""


def bench_commands(model: Path, sizes: Sequence[tuple[int, int]], rounds: int) -> list[CommandRow]:
    """Run compress, analyze and decompress on a generated face of each (height, width), in turns.

    Raises:
        LgcError: a command failed; with its last line.
    """
    lgc = str(Path(sys.executable).with_name("lgc"))
    rows = []
    with tempfile.TemporaryDirectory(prefix="lgc-bench-") as name:
        folder = Path(name)
        for height, width in sizes:
            picture, coded = folder / "face.png", folder / "face.lgc"
            Image.fromarray(face(height, width)).save(picture, compress_level=1)
            options = ["--model", str(model), "--force"]
            commands = {
                LIBRARIES: [sys.executable, "-c", _IMPORT],
                "lgc compress": [lgc, "compress", str(picture), "-o", str(coded), *options],
                "lgc analyze": [lgc, "analyze", str(coded), "-o", str(folder / "face.json"), *options],
                "lgc decompress": [lgc, "decompress", str(coded), "-o", str(folder / "out.png"), *options],
            }
            for command in commands.values():  # fills the system's file cache
                measure_command(command)
            seen = [{name: measure_command(command) for name, command in commands.items()} for _ in range(rounds)]
            rows += [
                CommandRow(
                    command=name,
                    height=height,
                    width=width,
                    seconds=Spread.of([one[name][0] for one in seen]),
                    peak_mib=max(one[name][1] for one in seen),
                )
                for name in commands
            ]
    return rows


def measure_command(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak MiB of a command; :class:`LgcError` with its last line if it fails."""
    done = subprocess.run([sys.executable, "-c", _WATCH, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LgcError(f"{' '.join(command[:2])} failed: {last_line(done.stderr)}")
    seconds, peak = done.stdout.split()
    return float(seconds), int(peak) * _KIB_PER_UNIT / 1024
