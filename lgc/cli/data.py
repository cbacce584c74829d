"""``lgc data check | generate``: data sets in the official CelebAMask-HQ layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Look at or make data sets in the official CelebAMask-HQ layout.")


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Folder in the official layout.", show_default=False)],
    split: Annotated[str, typer.Option(help="official (identity-disjoint) or hash.")] = "official",
) -> None:
    """Report what is there, what is missing, splits, duplicates and unreadable files; exit code 1 if unusable."""
    from lgc.data.check import check as check_data
    from lgc.errors import DataError

    if split not in ("official", "hash"):
        raise DataError(f"--split must be official or hash, not {split}")
    report = check_data(path, "official" if split == "official" else "hash")
    report.show()
    raise typer.Exit(0 if report.usable else 1)


@app.command()
def generate(
    path: Annotated[Path, typer.Argument(help="Folder to create.", show_default=False)],
    count: Annotated[int, typer.Option(help="Pictures.", min=1)] = 1000,
    size: Annotated[int, typer.Option(help="Side in pixels.", min=16, max=1024)] = 256,
    seed: Annotated[int, typer.Option(help="The same seed gives the same faces.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Write procedural faces with masks, attributes and pose."""
    from lgc.data.synthetic import write_dataset
    from lgc.progress import make_bar

    with make_bar(count) as bar:

        def progress(done: int) -> None:
            bar.update(done - bar.n)

        write_dataset(path, count, seed, size, workers=workers, progress=progress)
    print(f"{path}: {count} pictures written")
