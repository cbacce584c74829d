"""``lgc model list | export | import | pull | remove``: released models, one file each."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lgc import digest
from lgc.cli.codec import Force, Model, find_model
from lgc.cli.files import Outcome, check_can_write, check_writable, read_bytes
from lgc.cli.remote import fetch, file_name, is_remote
from lgc.errors import LgcError, ModelError, first_line

EVALUATION: Final = Path("outputs") / "evaluate"

app = typer.Typer(
    no_args_is_help=True,
    help="Released models: one file with networks, tables, configuration, licence note and measurements.",
)
Name = Annotated[str | None, typer.Option("--name", "-n", help="Keep it under this name.", show_default="the file's")]


@app.command("list")
def list_() -> None:
    """Show the models kept on this machine; `--model NAME` and lgc.load("NAME") find them."""
    from lgc.bitstream import store
    from lgc.bitstream.model_file import read_info

    files, outcome = store.kept(), Outcome()
    for path in files:
        with outcome.noting(path):
            info, model_id = read_info(path)
            print(f"{path.stem}: model {model_id.hex()}, {info.about.get('licence', 'no licence note')}")
            outcome.done += 1
    if not files:
        print(f"no models in {store.folder()}; `lgc model import` or `lgc model pull` keeps one there")
    raise typer.Exit(outcome.exit_code())


@app.command("export")
def export_(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.", show_default=False)],
    model: Model = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence note of the release.", show_default="as trained")
    ] = None,
    force: Force = False,
) -> None:
    """Write a model for release: as trained, with the licence note and what evaluation measured of it."""
    from lgc.bitstream import store
    from lgc.bitstream.model_file import read_info, read_sha256, rewrite_about

    check_writable(out, force)
    check_can_write(out)
    source = store.find(find_model(model))
    info, model_id = read_info(source)
    about = dict(info.about)
    if licence is not None:
        about["licence"] = licence
    if "licence" not in about:
        raise ModelError(f"{source}: says nothing of its licence; pass --licence")
    measured = _evaluation_of(model_id.hex(), read_sha256(source))
    if measured is not None:
        about["evaluation"] = measured
    rewrite_about(source, out, about)
    print(f"{out}: model {model_id.hex()}, sha256 {digest.of_file(out)}")
    if measured is None:
        print(f"no measurements inside: {EVALUATION} holds none of this model")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Model file.", show_default=False)],
    name: Name = None,
    force: Force = False,
) -> None:
    """Check a model file and keep it on this machine under a name."""
    from lgc.bitstream import store

    print(f"{store.keep(file, name or file.stem, force)} kept; use it with --model {name or file.stem}")


@app.command()
def pull(
    address: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A file, an https:// or s3:// address, models:/NAME@champion.", show_default=False
        ),
    ],
    sha256: Annotated[
        str | None, typer.Option(help="What the file must hash to; required for web addresses.")
    ] = None,
    name: Name = None,
    tracking: Annotated[
        str, typer.Option(envvar="MLFLOW_TRACKING_URI", help="Of the MLflow registry, for models:/ addresses.")
    ] = "sqlite:///mlflow.db",
    force: Force = False,
) -> None:
    """Fetch a released model, check it, and keep it on this machine under a name.

    From MLflow's registry by version, models:/NAME/3, or by alias, models:/NAME@champion; in a project's folder
    through its configured storage.
    """
    if is_remote(address):
        file_name(address)  # a mistake shows before anything is asked for
    if address.lower().startswith("http") and is_remote(address) and sha256 is None:
        raise ModelError(f"{address}: pass --sha256 with the digest that the release names")
    with tempfile.TemporaryDirectory(prefix="lgc-pull-") as folder:
        file = _fetch(address, tracking, Path(folder))
        found = digest.of_file(file)
        if sha256 is not None and found != sha256.lower():
            raise ModelError(f"{address}: SHA-256 is {found}, not {sha256}; nothing was kept")
        try:
            import_(file, name, force)
        except ModelError as error:
            raise ModelError(str(error).replace(str(file), address)) from error


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a kept model.", show_default=False)],
) -> None:
    """Remove a model that is kept on this machine."""
    from lgc.bitstream import store

    files = [path for path in store.kept() if path.stem == name]
    if not files:
        raise ModelError(f"{name}: no model is kept under this name in {store.folder()}; see `lgc model list`")
    try:
        files[0].unlink()
    except OSError as error:
        raise ModelError(f"{files[0]}: cannot be removed ({error.strerror or error})") from error
    print(f"{files[0]} removed")


def _fetch(address: str, tracking: str, folder: Path) -> Path:
    """A local copy, named as it is to be kept."""
    if address.startswith("models:/"):
        return _from_registry(address, tracking, folder)
    data = fetch(address, whole=True) if is_remote(address) else read_bytes(address)
    file = folder / (file_name(address) if is_remote(address) else Path(address).name)
    file.write_bytes(data)
    return file


def _from_registry(address: str, tracking: str, folder: Path) -> Path:
    match = re.fullmatch(r"models:/([^/@]+)(?:/(\d+)|(@[\w-]+))", address)
    if match is None:
        raise ModelError(f"{address}: neither models:/NAME/VERSION nor models:/NAME@ALIAS")
    local = tracking.removeprefix("sqlite:///")
    if local != tracking and not Path(local).is_file():  # MLflow would make one
        raise ModelError(f"{address}: no MLflow store {local}; pass --tracking, or go to the project's folder")
    from lgc.tracking.registry import Registry

    _use_configured_storage()
    name = match[1]
    try:
        got = Registry(tracking, name).fetch(match[2] or match[3], "model.safetensors", folder)
    except Exception as error:  # whatever MLflow's client and its transport raise
        raise ModelError(f"{address}: cannot be had from {tracking} ({first_line(error)})") from error
    return got.rename(folder / f"{name}.safetensors")


def _use_configured_storage() -> None:
    """In a project its S3 endpoint is where MLflow's files are; elsewhere the environment says."""
    from lgc.config.load import PARAMS, load
    from lgc.launch import storage

    if PARAMS.is_file():
        storage.apply(load().storage)


def _evaluation_of(model_id: str, sha256: str) -> dict[str, Any] | None:
    """Numbers of the project's last evaluation, if it was of this very model.

    The id is the decoder's: models that differ in their analyzers share it, and only the SHA-256 of all tensors tells
    them apart. Evaluations of earlier versions do not name it; for those the id decides.
    """
    try:
        summary = json.loads((EVALUATION / "metrics.json").read_text(encoding="utf-8"))
        run = json.loads((EVALUATION / "details.json").read_text(encoding="utf-8"))["run"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise LgcError(f"{EVALUATION}: not a usable evaluation ({error}); run it again") from error
    digests, wanted = run.get("models_sha256", {}), (model_id, sha256)
    names = [name for name, found in run["models"].items() if (found, digests.get(name, sha256)) == wanted]
    if not names:
        return None
    (name, *_) = names
    return {
        "data": {key: run["data"][key] for key in ("name", "hash", "split", "measured")},
        "both_layers": summary["codecs"][name],
        "semantic_layer": summary["codecs"][f"{name} base"],
        "account": summary["accounts"][name],
        "bit_saving": summary["bit_saving"][name],
    }
