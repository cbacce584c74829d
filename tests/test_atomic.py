"""Files and folders are whole: the old one or the new one, whatever happens in between."""

from __future__ import annotations

import os
import platform
import threading
from pathlib import Path

import pytest

from lgc.atomic import replacing_file, replacing_folder
from lgc.errors import LgcError


def test_a_file_appears_when_the_block_succeeds(tmp_path: Path) -> None:
    with replacing_file(tmp_path / "a") as partial:
        partial.write_text("new")
        assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_block_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def write_half() -> None:
        with replacing_file(tmp_path / "a") as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_the_error_of_the_block_is_the_one_shown(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError), replacing_file(tmp_path / "file" / "below") as partial:
        partial.write_text("x")


@pytest.mark.parametrize("name", ["n" * 245 + ".png", "ü" * 125 + ".png"])
def test_names_as_long_as_the_file_system_takes(tmp_path: Path, name: str) -> None:
    with replacing_file(tmp_path / name) as partial:
        partial.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with replacing_folder(tmp_path / f"{name[:-4]}.dir") as fresh:
        (fresh / "a").write_text("x")
    assert len(list(tmp_path.iterdir())) == 2


def test_writers_in_two_containers_are_not_in_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their threads may have one id, as the first of every container does."""
    monkeypatch.setattr(threading, "get_native_id", lambda: 1)
    with replacing_file(tmp_path / "a") as one:
        one.write_text("one, whole")
        with monkeypatch.context() as other_host:
            other_host.setattr(platform, "node", lambda: "h" * 64)
            with replacing_file(tmp_path / "a") as other:
                other.write_text("other")
        assert one.read_text() == "one, whole"
    assert (tmp_path / "a").read_text() == "one, whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_gets_the_mode_of_this_process(tmp_path: Path, umask: int, mode: int) -> None:
    """Whatever it is written with: some libraries make files for their owner alone."""
    before = os.umask(umask)
    try:
        with replacing_file(tmp_path / "a") as partial:
            partial.unlink()
            os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_two_threads_write_one_file(tmp_path: Path) -> None:
    def write_other() -> None:
        with replacing_file(tmp_path / "a") as partial:
            partial.write_text("other")

    with replacing_file(tmp_path / "a") as partial:
        partial.write_text("mine")
        thread = threading.Thread(target=write_other)
        thread.start()
        thread.join()
        assert (tmp_path / "a").read_text() == "other"
    assert (tmp_path / "a").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    """Process ids repeat in containers."""
    (tmp_path / f".a.{platform.node()}.{os.getpid()}.partial").write_text("half, and longer than what is written now")
    with replacing_file(tmp_path / "a") as partial:
        partial.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_file_stays_one(tmp_path: Path, there: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    if there:
        (tmp_path / "elsewhere/b").write_text("old")
    (tmp_path / "a").symlink_to("elsewhere/b")
    with replacing_file(tmp_path / "a") as partial:
        partial.write_text("new")
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "elsewhere/b").read_text() == "new"
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["b"]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_folder_stays_one(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "elsewhere/b").mkdir(parents=True)
        (tmp_path / "elsewhere/b/old").write_text("x")
    (tmp_path / "a").symlink_to("elsewhere/b")
    with replacing_folder(tmp_path / "a") as fresh:
        (fresh / "new").write_text("x")
    assert (tmp_path / "a").is_symlink()
    assert [path.name for path in (tmp_path / "elsewhere/b").iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["b"]


@pytest.mark.parametrize("linked", [True, False])
def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path, linked: bool) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to("file")
    place = tmp_path / ("link" if linked else "file")
    with pytest.raises(LgcError, match=rf"{place.name}: is a file, and would be replaced"), replacing_folder(place):
        pass
    assert (tmp_path / "file").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link"}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(2):
        with replacing_folder(out) as fresh:
            (fresh / f"{number}").write_text("x")
    assert [path.name for path in out.iterdir()] == ["1"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_exchange_of_folders_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with replacing_folder(out) as fresh:
        (fresh / "old").write_text("x")
    rename, calls = os.replace, []

    def failing(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(KeyboardInterrupt), replacing_folder(out) as fresh:
        (fresh / "new").write_text("x")
    assert [path.name for path in out.iterdir()] == ["old"]
