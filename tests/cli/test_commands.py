"""The command line as users meet it: help, exit codes, one line an error."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from lgc import __version__
from lgc.bitstream import container
from lgc.bitstream.codec import LayeredCodec
from lgc.cli import codec as cli_codec
from lgc.cli.files import Item, Outcome
from lgc.errors import BitstreamError
from tests.forked import lgc

LGC = [sys.executable, "-c", "from lgc.cli.main import main; main()"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name, size in (("a.png", (40, 30, 3)), ("b.jpg", (33, 50, 3)), ("deeper/c.webp", (20, 20, 3))):
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(folder / name)
    return folder


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, done
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_help_lists_the_commands_and_is_quick_to_import() -> None:
    done = lgc("--help")
    assert done.returncode == 0
    for command in ("compress", "decompress", "analyze", "inspect", "strip", "compose", "repro", "data"):
        assert command in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, lgc.cli.main; print('torch' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout.strip() == "False"


def test_a_folder_goes_there_and_back(photos: Path, model_file: Path, tmp_path: Path) -> None:
    coded, decoded = tmp_path / "coded", tmp_path / "decoded"
    done = lgc("compress", photos, "-o", coded, "--model", model_file)
    assert done.returncode == 0, done.stderr
    assert "3 compressed" in done.stdout
    assert {p.relative_to(coded).as_posix() for p in coded.rglob("*.lgc")} == {"a.lgc", "b.lgc", "deeper/c.lgc"}
    assert lgc("decompress", coded, "-o", decoded, "--model", model_file).returncode == 0
    assert Image.open(decoded / "b.png").size == (50, 33)
    assert lgc("analyze", coded, "-o", tmp_path / "read", "--model", model_file).returncode == 0
    report = json.loads((tmp_path / "read/deeper/c.json").read_text())
    assert report["layers"] == "semantic"
    assert sum(report["class_share"].values()) == pytest.approx(1, abs=1e-3)
    assert Image.open(tmp_path / "read/a.mask.png").size == (30, 40)


def test_inspect_and_strip(photos: Path, model_file: Path, tmp_path: Path) -> None:
    whole, base = tmp_path / "a.lgc", tmp_path / "a.base.lgc"
    lgc("compress", photos / "a.png", "-o", whole, "--model", model_file)
    assert lgc("strip", whole).returncode == 0
    facts = json.loads(lgc("inspect", "--json", whole).stdout)
    assert facts["width"] == 30
    assert facts["height"] == 40
    assert facts["bytes"] == whole.stat().st_size
    assert facts["header_bytes"] + facts["semantic_bytes"] + facts["reconstruction_bytes"] == facts["bytes"]
    stripped = json.loads(lgc("inspect", "--json", base).stdout)
    assert stripped["base_only"]
    assert stripped["bytes"] == facts["header_bytes"] + facts["semantic_bytes"]
    assert lgc("inspect", model_file).returncode == 0
    for name, source in (("full", whole), ("base", base)):
        lgc("analyze", source, "-o", tmp_path / f"{name}.json", "--model", model_file)
    reports = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("full", "base")]
    assert {k: v for k, v in reports[0].items() if k != "file"} == {
        k: v for k, v in reports[1].items() if k != "file"
    }


@pytest.fixture
def telephone(tmp_path: Path) -> Path:
    """What a telephone and the programs on the way from it leave."""
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    folder = tmp_path / "phone"
    folder.mkdir()
    kinds = {"a.heic": "HEIF", "b.jpg": "JPEG", "c.jp2": "JPEG2000", "d.ppm": "PPM", "e.tga": "TGA", "f.jfif": "JPEG",
             "g.gif": "GIF", "h.JPE": "JPEG", "i.mpo": "JPEG"}  # fmt: skip
    for name, kind in kinds.items():
        with (folder / name).open("wb") as file:
            Image.new("RGB", (24, 16), "red").save(file, kind)
    for name in ("._b.jpg", ".DS_Store", "k.MOV"):
        (folder / name).write_bytes(b"no picture")
    return folder


def test_a_folder_of_all_that_can_be_read(telephone: Path, model_file: Path, tmp_path: Path) -> None:
    """In a process of its own: here the plugin is there already."""
    words = [*LGC, "compress", telephone, "-o", tmp_path / "out", "--model", model_file]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"note: {telephone}: left out 1 .mov\n"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{letter}.lgc" for letter in "abcdefghi"}


def test_a_picture_whose_plugin_is_missing_names_it(telephone: Path, model_file: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules.update(pillow_heif=None); from lgc.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "compress", telephone, "-o", tmp_path / "out", "--model", model_file],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"error: {telephone / 'a.heic'}: pillow_heif is needed to read it; pip install pillow-heif",
        "8 done, 1 failed",
    ]


def test_a_picture_from_a_pipe(photos: Path, model_file: Path, tmp_path: Path) -> None:
    words = [*LGC, "compress", "/dev/stdin", "-o", str(tmp_path / "a.lgc"), "--model", str(model_file)]
    done = subprocess.run(words, input=(photos / "a.png").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(lgc("inspect", "--json", tmp_path / "a.lgc").stdout)["width"] == 30
    size = (tmp_path / "a.lgc").stat().st_size
    assert done.stdout.decode().startswith(f"1 compressed: {size} bytes, "), "a pipe has no size"


def test_a_pipe_in_a_folder_is_not_waited_for(photos: Path, model_file: Path, tmp_path: Path) -> None:
    assert lgc("compress", photos / "a.png", "-o", tmp_path / "a.lgc", "--model", model_file).returncode == 0
    os.mkfifo(tmp_path / "b.lgc")
    done = lgc("strip", tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.base.lgc"]


def test_where_nothing_is_left_to_do_no_model_is_needed(photos: Path, tmp_path: Path) -> None:
    (photos / "a.lgc").write_text("there")
    done = lgc("compress", photos / "a.png", "--skip-existing", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 of 1 exist already and are skipped\n", "")
    done = lgc("compress", photos / "a.png", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: {photos / 'a.png'}: {photos / 'a.lgc'}: exists; pass --force to replace it\n"


def test_a_missing_model_hides_no_earlier_failure(photos: Path, tmp_path: Path) -> None:
    (photos / "a.lgc").write_text("there")
    done = lgc("compress", photos / "a.png", photos / "b.jpg", cwd=tmp_path)
    assert [line.partition(":")[2].split()[0] for line in done.stderr.splitlines()] == [f"{photos / 'a.png'}:", "no"]


def test_a_picture_that_is_taken_away_once_it_is_read(
    photos: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = cli_codec._read_picture

    def take_away(path: Path) -> np.ndarray:
        picture = read(path)
        path.unlink()
        return picture

    monkeypatch.setattr(cli_codec, "_read_picture", take_away)
    with pytest.raises(typer.Exit) as ended:
        cli_codec.compress([photos / "a.png", photos / "b.jpg"], str(photos / "out"), model_file, "cpu")
    assert ended.value.exit_code == 0
    assert capsys.readouterr().out.startswith("2 compressed: ")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_what_is_too_large_for_memory_leaves_the_others(error: Exception) -> None:
    """All of a batch may be, and one of its pictures alone."""
    outcome, batch = Outcome(), [(Item(Path(name), Path()), name) for name in "abc"]

    def action(names: list[str]) -> list[str]:
        if "b" in names:
            raise error
        return [name.upper() for name in names]

    assert [result for _, _, result in cli_codec._run(batch, action, outcome)] == ["A", "C"]
    (failure,) = outcome.failures
    assert failure.startswith("b: not enough memory (")


def test_other_errors_of_torch_are_not_taken_for_it() -> None:
    def action(names: list[str]) -> list[str]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(cli_codec._run([(Item(Path("a"), Path()), "a")], action, Outcome()))


def test_no_more_threads_than_a_container_may_use(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        for threads, quota, then in ((2, 1, 1), (1, 2, 1)):  # what OMP_NUM_THREADS asks for is no more either
            torch.set_num_threads(threads)
            monkeypatch.setattr("lgc.launch.cores.cores", lambda quota=quota: quota)
            cli_codec._load(model_file, "cpu")
            assert torch.get_num_threads() == then
    finally:
        torch.set_num_threads(before)


def test_a_slash_says_that_a_folder_is_meant(photos: Path, model_file: Path, tmp_path: Path) -> None:
    done = lgc("compress", photos / "a.png", "-o", f"{tmp_path}/out.d/", "--model", model_file)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.d" / "a.lgc").is_file()


class TestStandardOutput:
    """What is said may have characters that it lacks, and nowhere to go."""

    @pytest.fixture
    def coded(self, codec: LayeredCodec, tmp_path: Path) -> list[bytes]:
        """Names of two files: one that is no text, and one that is not ASCII."""
        names = [os.fsencode(tmp_path) + name for name in (b"/ok\xff.lgc", "/\u00e9.lgc".encode())]
        for name in names:
            Path(os.fsdecode(name)).write_bytes(codec.compress(np.zeros((20, 20, 3), np.uint8)))
        return names

    def inspect(self, names: list[bytes], out: Any, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        return subprocess.run(
            [*LGC, "inspect", *names], stdout=out, stderr=subprocess.PIPE, text=True, check=False,
            env={**inherited, **environment},
        )  # fmt: skip

    @pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii"])
    def test_names_that_it_cannot_say(self, coded: list[bytes], encoding: str) -> None:
        done = self.inspect(coded, subprocess.PIPE, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")
        odd, accented = done.stdout.splitlines()
        assert "ok\\udcff.lgc: 20 x 20" in odd
        assert ("\\xe9.lgc: 20 x 20" if encoding == "ascii" else "\u00e9.lgc: 20 x 20") in accented

    @pytest.mark.parametrize("times", [1, 500], ids=["at the end", "in the middle"])
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_a_full_disk(self, coded: list[bytes], times: int, unbuffered: str) -> None:
        with open("/dev/full", "wb") as full:
            done = self.inspect(coded * times, full, PYTHONUNBUFFERED=unbuffered)
        told = "error: standard output: cannot be written (No space left on device); send it elsewhere\n"
        assert (done.returncode, done.stderr) == (1, told)

    @pytest.mark.parametrize("times", [1, 500], ids=["at the end", "in the middle"])
    def test_a_reader_that_has_gone(self, coded: list[bytes], times: int) -> None:
        read, write = os.pipe()
        os.close(read)
        try:
            done = self.inspect(coded * times, write)
        finally:
            os.close(write)
        assert (done.returncode, done.stderr) == (141, "")

    def test_errors_are_told_too(self, tmp_path: Path, coded: list[bytes]) -> None:
        with open("/dev/full", "wb") as full:
            done = self.inspect([*coded, b"none.lgc"], full)
        assert done.returncode == 1
        assert done.stderr.startswith(
            "error: none.lgc: cannot be read (No such file or directory)\n2 done, 1 failed\n"
        )
        assert len(done.stderr.splitlines()) == 3


def test_the_version_is_shown_and_the_module_is_the_command() -> None:
    for start in (LGC, [sys.executable, "-m", "lgc"]):
        done = subprocess.run([*start, "--version"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"lgc {__version__}\n", "")


def test_a_mixed_folder_does_what_it_can(photos: Path, model_file: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "notes.txt").write_text("not considered")
    done = lgc("compress", photos, "-o", tmp_path / "out", "--model", model_file)
    assert done.returncode == 1
    assert len(list((tmp_path / "out").rglob("*.lgc"))) == 3
    lines = done.stderr.strip().splitlines()
    assert [line for line in lines if "broken.png" in line]
    assert [line for line in lines if "empty.jpg" in line]
    assert lines[-1] == "3 done, 2 failed"


def test_one_damaged_file_does_not_spoil_its_batch(photos: Path, model_file: Path, tmp_path: Path) -> None:
    coded = tmp_path / "coded"
    lgc("compress", photos, "-o", coded, "--model", model_file)
    data = (coded / "a.lgc").read_bytes()
    (coded / "a.lgc").write_bytes(data[:-3])
    done = lgc("decompress", coded, "-o", tmp_path / "decoded", "--model", model_file)
    assert done.returncode == 1
    assert len(list((tmp_path / "decoded").rglob("*.png"))) == 2
    assert "a.lgc: reconstruction layer: checksum mismatch" in done.stderr


def test_existing_outputs_need_force(photos: Path, model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.lgc"
    out.write_text("precious")
    assert only_line(lgc("compress", photos / "a.png", "-o", out, "--model", model_file)) == (
        f"error: {photos / 'a.png'}: {out}: exists; pass --force to replace it"
    )
    assert out.read_text() == "precious"
    assert lgc("compress", photos / "a.png", "-o", out, "--model", model_file, "--force").returncode == 0


class TestOutputsThatCannotBeWritten:
    """One line an input, exit code 1, nothing half-written."""

    @pytest.fixture
    def coded(self, photos: Path, model_file: Path, tmp_path: Path) -> Path:
        lgc("compress", photos / "a.png", "-o", tmp_path / "coded" / "a.lgc", "--model", model_file)
        return tmp_path / "coded" / "a.lgc"

    @pytest.mark.parametrize("command", ["compress", "decompress", "analyze", "strip"])
    def test_a_file_where_a_folder_should_be(
        self, command: str, photos: Path, coded: Path, model_file: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "taken").write_text("precious")
        source = photos / "a.png" if command == "compress" else coded
        model = [] if command == "strip" else ["--model", model_file]
        suffix = {"decompress": ".png", "analyze": ".json"}.get(command, ".lgc")
        done = lgc(command, source, "-o", tmp_path / "taken" / f"out{suffix}", *model)
        assert f"cannot be written ({tmp_path / 'taken'} is a file, not a folder)" in only_line(done)
        assert (tmp_path / "taken").read_text() == "precious"

    @pytest.mark.parametrize("command", ["compress", "decompress", "analyze"])
    def test_the_disk_is_full_in_the_middle_of_a_file(
        self, command: str, photos: Path, coded: Path, model_file: Path, tmp_path: Path
    ) -> None:
        """A limit on the size of files fails the same system call at the same place."""
        source = photos / "a.png" if command == "compress" else coded
        out = tmp_path / "out"
        done = subprocess.run(
            [*LGC, command, str(source), "-o", str(out), "--model", str(model_file)],
            capture_output=True, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)),
        )  # fmt: skip
        assert "cannot be written (File too large)" in only_line(done)
        assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compress", "missing.png", "--model", "MODEL"], "missing.png: no such file or folder"),
        (["compress", "empty", "-o", "out", "--model", "MODEL"], "empty: nothing to do in this folder"),
        (["compress", "text.png", "--model", "MODEL"], "not a picture Pillow can read"),
        (["compress", "photo.png", "--model", "nowhere.safetensors"], "no such model file"),
        (["compress", "photo.png", "--model", "text.png"], "text.png: not a model file"),
        (["compress", "photo.png"], "no model: pass --model FILE"),
        (["decompress", "text.png", "--model", "MODEL", "-o", "x.png"], "not an .lgc file"),
        (["inspect", "text.png"], "offset 0: not an .lgc file"),
        (["data", "check", "empty"], "no folder CelebA-HQ-img/"),
        (["data", "check", "nowhere"], "nowhere: no such folder"),
        (["data", "check", "text.png"], "text.png: a file, not the folder of a data set"),
        (["compress", ""], "lgc compress: the next word is empty; set the variable it came from, or leave it out"),
        (["compress", "photo.png", "-o", ""], "lgc compress photo.png -o: the next word is empty"),
        (["compress", "photo.png", "--out="], "lgc compress photo.png --out=: the next word is empty"),
        (["data", "check", ""], "lgc data check: the next word is empty"),
        (["compress", "photo.png", "--model", "empty"], "empty: is a folder, not a model file"),
        (["compress", "photo.png", "-o", "q.png", "--model", "MODEL"], "q.png: no folder, and the output would be"),
        (["compress", "photo.png", "-o", "-", "--model", "MODEL"], "-o -: outputs are files"),
        (["compress", ".", "-o", "all.lgc", "--model", "MODEL"], "all.lgc: the name of a file"),
        (["compress", "photo.png", "--model", "MODEL", "--device", "meta"], "choose auto, cpu, cuda or cuda:N"),
        (["decompress", "s3://b/x.lgc"], "s3://b/x.lgc: only lgc analyze reads addresses"),
        (["inspect", "https://h/x.lgc"], "https://h/x.lgc: only lgc analyze reads addresses"),
        (["analyze", "http://127.0.0.1:9/", "--model", "MODEL"], "http://127.0.0.1:9/: names no file"),
        (["compose"], "conf: no such folder; run this in the project's root"),
        (["repro"], "no dvc.yaml here"),
    ],
)
def test_wrong_input_is_one_clear_line(tmp_path: Path, model_file: Path, words: list[str], says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("this is text")
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    done = lgc(*(str(model_file) if word == "MODEL" else word for word in words), cwd=tmp_path)
    assert says in only_line(done)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compress"], "error: lgc compress: Missing argument 'IN...' (see lgc compress --help)"),
        (["compress", "a.png", "--nonsense"], "error: lgc compress: No such option: --nonsense (see"),
        (["nonsense"], "error: lgc: No such command 'nonsense'"),
        (["bench", "codec", "--rounds", "x"], "error: lgc bench codec: Invalid value for '--rounds'"),
        (["decompress", "a.lgc", "--layers", "some"], "error: lgc decompress: Invalid value for '--layers'"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], says: str) -> None:
    done = lgc(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(says)


def test_no_words_are_a_question_for_help() -> None:
    done = lgc("model")
    assert done.returncode == 2
    assert "export" in done.stdout
    assert done.stderr == ""


def interrupted(words: list[Any], first: Path) -> str:
    """What a command says to Ctrl-C after the file ``first``, while it waits for a picture that does not come."""
    code = "import lgc.cli.codec; lgc.cli.codec.BATCH_SIZE = 1; from lgc.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in a shell's background ignores it
    ) as running:
        try:
            limit = time.monotonic() + 60
            while (not first.exists() or not first.stat().st_size) and time.monotonic() < limit:
                time.sleep(0.05)
            time.sleep(0.2)  # until it waits
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 130
    assert out == ""
    return err


@pytest.fixture
def stuck(photos: Path, model_file: Path, tmp_path: Path) -> list[Any]:
    """A command of which the second picture does not come."""
    (photos / "b.jpg").unlink()
    os.mkfifo(photos / "b.jpg")
    return ["compress", photos / "a.png", photos / "b.jpg", "-o", tmp_path / "out", "--model", model_file]


def test_an_interrupt_says_what_is_kept_and_the_rest_is_done_later(
    photos: Path, stuck: list[Any], tmp_path: Path
) -> None:
    said = interrupted(stuck, tmp_path / "out" / "a.lgc")
    assert said == "interrupted; 1 of 2 are done and kept; run it again with --skip-existing for the rest\n"
    (photos / "b.jpg").unlink()
    Image.new("RGB", (8, 8)).save(photos / "b.jpg")
    again = lgc(*stuck, "--skip-existing")
    assert again.returncode == 0, again.stderr
    assert "1 of 2 exist already and are skipped" in again.stdout
    assert "1 compressed" in again.stdout


def test_an_interrupt_while_files_are_replaced_does_not_lead_to_files_of_two_models(
    photos: Path, stuck: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    for name in ("a.lgc", "b.lgc"):  # empty: of another model
        (tmp_path / "out" / name).write_bytes(b"")
    said = interrupted([*stuck, "--force"], tmp_path / "out" / "a.lgc")
    assert said == "interrupted; 1 of 2 are done and kept; run it again with --force for all of them\n"
    assert "pass only one of them" in only_line(lgc(*stuck, "--force", "--skip-existing"))
    (photos / "b.jpg").unlink()
    Image.new("RGB", (8, 8)).save(photos / "b.jpg")
    assert lgc(*stuck, "--force").returncode == 0
    assert (tmp_path / "out" / "b.lgc").stat().st_size


def test_a_mask_without_its_report_is_done_again(photos: Path, model_file: Path, tmp_path: Path) -> None:
    """What a kill between the two leaves; the mask comes first."""
    lgc("compress", photos / "a.png", "-o", tmp_path / "a.lgc", "--model", model_file)
    mask, words = tmp_path / "a.mask.png", ["analyze", tmp_path / "a.lgc", "--model", model_file]
    mask.write_text("of another model")
    assert f"{mask}: exists; pass --force" in only_line(lgc(*words))
    done = lgc(*words, "--skip-existing")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.json").is_file()
    assert Image.open(mask).size == (30, 40)
    mask.write_text("left alone")
    assert "1 of 1 exist already and are skipped" in lgc(*words, "--skip-existing").stdout
    assert mask.read_text() == "left alone"


def test_what_fails_its_verification_is_not_written(
    photos: Path,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    read = LayeredCodec.latents

    def misread(self: LayeredCodec, data: bytes) -> object:
        if cli_codec._pixels(data) == 40 * 30:
            raise BitstreamError("semantic layer: checksum mismatch")
        return read(self, data)

    monkeypatch.setattr(LayeredCodec, "latents", misread)
    with pytest.raises(typer.Exit) as stopped:
        cli_codec.compress([photos], tmp_path / "out", model_file, "cpu", verify=True)
    assert stopped.value.exit_code == 1
    assert f"{photos / 'a.png'}: semantic layer: checksum mismatch" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").rglob("*.lgc")} == {"b.lgc", "c.lgc"}


@pytest.mark.parametrize("command", ["decompress", "analyze"])
def test_an_output_that_appears_meanwhile_is_kept(
    command: str, codec: LayeredCodec, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.lgc").write_bytes(codec.compress(np.zeros((20, 20, 3), np.uint8)))
    target = tmp_path / ("a.png" if command == "decompress" else "a.json")
    load = cli_codec._load

    def load_slowly(*args: Any) -> LayeredCodec:
        target.write_text("precious")
        return load(*args)

    monkeypatch.setattr(cli_codec, "_load", load_slowly)
    with pytest.raises(typer.Exit) as stopped:
        getattr(cli_codec, command)([str(tmp_path / "a.lgc")] if command == "analyze" else [tmp_path / "a.lgc"],
                                    model=model_file, device="cpu")  # fmt: skip
    assert stopped.value.exit_code == 1
    assert target.read_text() == "precious"


def test_a_file_longer_than_any_does_not_stop_the_others(
    photos: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    coded = tmp_path / "coded"
    lgc("compress", photos, "-o", coded, "--model", model_file)
    monkeypatch.setattr(container, "MAX_PAYLOAD", 1 << 16)
    most = container.LONGEST_HEADER + 2 * container.MAX_PAYLOAD
    with (coded / "b.lgc").open("r+b") as file:
        file.truncate(1 << 26)
    told = f"{coded / 'b.lgc'}: is longer than {most} bytes, which no .lgc file is"
    for run in (
        lambda: cli_codec.decompress([coded], tmp_path / "decoded", model_file, device="cpu"),
        lambda: cli_codec.analyze([str(coded)], tmp_path / "read", model_file, device="cpu"),
        lambda: cli_codec.strip([coded], tmp_path / "cut"),
        lambda: cli_codec.inspect(sorted(coded.rglob("*.lgc"))),
    ):
        with pytest.raises(typer.Exit):
            run()
        assert capsys.readouterr().err.splitlines() == [f"error: {told}", "2 done, 1 failed"]


@pytest.mark.parametrize(
    ("words", "module"), [(["data", "generate", "NEW"], "tqdm"), (["compose", "profile=smoke"], "yaml")]
)
def test_a_package_that_is_missing_is_one_line(tmp_path: Path, words: list[str], module: str) -> None:
    words = [str(tmp_path / "new") if word == "NEW" else word for word in words]
    code = f"import sys; sys.modules[{module!r}] = None; from lgc.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert only_line(done) == f"error: the Python module {module} is missing; pip install 'lgc[train,eval]'"


def test_a_missing_part_of_lgc_is_a_fault_of_the_program() -> None:
    code = "import sys; sys.modules['lgc.progress'] = None; from lgc.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "data", "generate", "x"], capture_output=True, text=True, check=False
    )
    assert "Traceback" in done.stderr


def test_many_existing_outputs_are_one_line(photos: Path, model_file: Path, tmp_path: Path) -> None:
    words = ["compress", photos, "-o", tmp_path / "out", "--model", model_file]
    assert lgc(*words).returncode == 0
    assert "3 of 3 outputs exist already, e.g. " in only_line(lgc(*words))


def test_large_pictures_come_in_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_codec, "BATCH_PIXELS", 100)
    sizes = [10, 40, 70, 1, 200, 99, 2, *[1] * 20]
    items = [Item(Path(f"{n}"), tmp_path / f"{n}") for n in range(len(sizes))]

    def load(path: Path) -> np.ndarray:
        return np.zeros((sizes[int(str(path))], 1, 3), np.uint8)

    batches = []
    for batch in cli_codec._batches(items, load, Outcome()):
        batches.append([len(picture) for _, picture in batch])
    assert batches == [[10, 40, 70], [1, 200], [99, 2], [1] * 16, [1] * 4]


def test_what_is_read_ahead_of_coded_files_is_what_they_decode_to(codec: LayeredCodec) -> None:
    data = codec.compress(np.zeros((33, 50, 3), np.uint8))
    assert cli_codec._pixels(data) == 33 * 50
    assert cli_codec._pixels(b"damaged") == len(b"damaged")
    assert cli_codec._pixels(data + bytes(2000)) == len(data) + 2000


def test_further_frames_are_not_left_out_without_a_word(model_file: Path, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.webp")
    done = lgc("compress", tmp_path, "--model", model_file)
    assert done.returncode == 0
    assert done.stderr == f"note: {tmp_path / 'a.webp'}: the first of its 3 frames or pages is taken\n"


def test_stripping_a_folder_twice(photos: Path, model_file: Path, tmp_path: Path) -> None:
    coded = tmp_path / "coded"
    lgc("compress", photos, "-o", coded, "--model", model_file)
    (coded / "b.lgc").rename(coded / "B.LGC")
    assert lgc("strip", coded).returncode == 0
    names = {path.name for path in coded.rglob("*") if path.is_file()}
    assert names == {"a.lgc", "a.base.lgc", "B.LGC", "B.base.lgc", "c.lgc", "c.base.lgc"}
    again = lgc("strip", coded, "--skip-existing")
    assert again.returncode == 0, again.stderr
    assert {path.name for path in coded.rglob("*") if path.is_file()} == names


def test_inspect_knows_a_model_without_its_suffix(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(model_file.read_bytes())
    done = lgc("inspect", "--json", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert "architecture" in json.loads(done.stdout)


def test_the_colours_of_a_mask_are_in_the_report(photos: Path, model_file: Path, tmp_path: Path) -> None:
    lgc("compress", photos / "a.png", "-o", tmp_path / "a.lgc", "--model", model_file)
    assert lgc("analyze", tmp_path / "a.lgc", "--model", model_file).returncode == 0
    report = json.loads((tmp_path / "a.json").read_text())
    with Image.open(tmp_path / "a.mask.png") as mask:
        seen = {"#" + bytes(colour).hex() for _, colour in mask.getcolors()}  # type: ignore
    assert set(report["class_colour"].values()) == seen
    assert report["class_colour"].keys() == report["class_share"].keys()


def test_a_file_of_another_model_names_both(photos: Path, model_file: Path, tmp_path: Path) -> None:
    lgc("compress", photos / "a.png", "-o", tmp_path / "a.lgc", "--model", model_file)
    data = bytearray((tmp_path / "a.lgc").read_bytes())
    data[2:6] = b"\x01\x02\x03\x04"
    (tmp_path / "a.lgc").write_bytes(data)
    line = only_line(lgc("analyze", tmp_path / "a.lgc", "--model", model_file))
    assert "written by model 01020304, this is model " in line


def test_data_check_reports_a_usable_data_set(tmp_path: Path) -> None:
    assert lgc("data", "generate", tmp_path / "faces", "--count", "30", "--size", "32").returncode == 0
    done = lgc("data", "check", tmp_path / "faces")
    assert done.returncode == 0
    assert "usable" in done.stdout
    (tmp_path / "faces/CelebAMask-HQ-pose-anno.txt").unlink()
    first = min((tmp_path / "faces/CelebA-HQ-img").iterdir())
    first.write_bytes(b"broken")
    done = lgc("data", "check", tmp_path / "faces")
    assert "CelebAMask-HQ-pose-anno.txt: missing" in done.stdout
    assert first.name in done.stdout
