"""Codecs that come as command-line programs: BPG (HEVC intra) and VVC. Used where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lgc.backbones import Absent
from lgc.baselines.container import coded_bytes
from lgc.errors import LgcError, last_line

_SECONDS: Final = 300
Command = Callable[[int, Path, Path], Sequence[str]]
"""(quality, input file, output file) -> command line."""


@dataclass(frozen=True)
class ProgramCodec:
    """An encoder and a decoder that read and write files. PNG goes in, PNG comes out."""

    name: str
    suffix: str
    encoder: Command
    decoder: Command
    version: str

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        """See :class:`~lgc.baselines.base.Codec`."""
        with tempfile.TemporaryDirectory(prefix="lgc-") as scratch:
            source, coded = Path(scratch, "in.png"), Path(scratch, f"coded{self.suffix}")
            Image.fromarray(pixels).save(source)
            self._run(self.encoder(quality, source, coded))
            return coded.read_bytes()

    def decode(self, data: bytes) -> np.ndarray:
        """See :class:`~lgc.baselines.base.Codec`."""
        with tempfile.TemporaryDirectory(prefix="lgc-") as scratch:
            coded, decoded = Path(scratch, f"coded{self.suffix}"), Path(scratch, "out.png")
            coded.write_bytes(data)
            self._run(self.decoder(0, coded, decoded))
            with Image.open(decoded) as picture:
                return np.array(picture.convert("RGB"))

    def coded_bytes(self, data: bytes) -> int:
        """See :class:`~lgc.baselines.base.Codec`."""
        return coded_bytes(self.name, data)

    def describe(self, quality: int) -> Mapping[str, str]:
        """See :class:`~lgc.baselines.base.Codec`."""
        command = self.encoder(quality, Path("in.png"), Path(f"out{self.suffix}"))
        return {"library": self.version, "command": " ".join(command)}

    def _run(self, command: Sequence[str]) -> None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise LgcError(f"{self.name}: {command[0]} took more than {_SECONDS} s") from None
        if done.returncode:
            raise LgcError(f"{self.name}: {command[0]} failed ({last_line(done.stderr or done.stdout)})")


_COMMANDS: Final[Mapping[str, tuple[str, Command, Command]]] = {
    "bpg": (
        ".bpg",
        lambda q, source, out: ["bpgenc", "-q", str(51 - q), "-m", "9", "-o", str(out), str(source)],
        lambda _, coded, out: ["bpgdec", "-o", str(out), str(coded)],
    ),
    "vvc": (
        ".266",
        # vvenc_init in FFmpeg's libavcodec/libvvenc.c: qpa (m_usePerceptQPA, 1 by default) gives up PSNR for what an
        # eye is thought to see; g of 1 means intra pictures only (m_GOPSize, m_IntraPeriod). Taken from that source
        # and not run: no ffmpeg with libvvenc was at hand
        lambda q, source, out: [
            "ffmpeg", "-v", "error", "-y", "-i", str(source), "-pix_fmt", "yuv420p10le", "-c:v", "libvvenc",
            "-preset", "slower", "-qp", str(63 - q), "-qpa", "0", "-g", "1", "-f", "vvc", str(out),
        ],
        # 8 bits a channel: it would write 16 of 10, of which Pillow drops the lower half unrounded
        lambda _, coded, out: [
            "ffmpeg", "-v", "error", "-y", "-i", str(coded), "-frames:v", "1", "-pix_fmt", "rgb24", str(out),
        ],
    ),
}  # fmt: skip
NAMES: Final = tuple(_COMMANDS)


def make_program_codec(name: str) -> ProgramCodec | Absent:
    """The codec called ``name``, one of :data:`NAMES`; ``quality`` 0 is the largest quantiser there is."""
    suffix, encoder, decoder = _COMMANDS[name]
    programs = {command(0, Path("a"), Path("b"))[0] for command in (encoder, decoder)}
    missing = sorted(program for program in programs if shutil.which(program) is None)
    if missing:
        return Absent(name, f"{' and '.join(missing)} not found among the installed programs")
    if name == "vvc":
        listed = subprocess.run(["ffmpeg", "-v", "error", "-encoders"], capture_output=True, text=True, check=False)
        if "libvvenc" not in listed.stdout:
            return Absent(name, "the installed ffmpeg was built without libvvenc")
    return ProgramCodec(name, suffix, encoder, decoder, _version(encoder(0, Path("a"), Path("b"))[0]))


def _version(program: str) -> str:
    """First line of what the program says of itself."""
    flag = "-version" if program == "ffmpeg" else "-h"
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else program
