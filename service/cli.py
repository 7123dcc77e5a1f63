"""The command `weighbridge`: serve, analyze a file without a server, print the API's description; and keys."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import click
import msgspec
from blake3 import blake3

from service import commands, config
from service.errors import WeighbridgeError
from service.jobs.analysis import Work, analyse
from service.jobs.hashing import sha256_of
from service.jobs.records import Part
from service.presentation import REPORT_VIEWS, Options, rendered
from service.sandbox.launch import running
from service.translation import DEFAULT, LANGUAGES
from service.web import listening, openapi, problems


@click.group()
def main() -> None:
    """Weighs model files without unloading them."""


main.add_command(commands.keys)


@main.command()
def serve() -> None:
    """Serve over HTTP; HOST and PORT say where."""
    try:
        config.load()
        listening.check_environment(os.environ)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    command = [sys.executable, "-I", "-m", "gunicorn", "--config", "python:service.gunicorn_conf"]
    os.execv(sys.executable, command)  # noqa: S606 - the server takes this process's place


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "view", type=click.Choice([view.name for view in REPORT_VIEWS]), default="text")
@click.option("--lang", "language", type=click.Choice(LANGUAGES), default=DEFAULT)
def analyze(files: tuple[Path, ...], view: str, language: str) -> None:
    """Print what FILES, one model, hold; read behind the same wall as over HTTP."""
    try:
        click.echo(_analyze(files, view, language), nl=False)
    except WeighbridgeError as error:
        where = error.info.member or error.info.pointer
        raise click.ClickException(
            " ".join(str(part) for part in (where and f"{where}:", error.info.detail, error.info.hint) if part)
        ) from None


def _analyze(files: tuple[Path, ...], view: str, language: str) -> str:
    settings = msgspec.structs.replace(config.load(), warm_frameworks=False)
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-"))
    descriptors = tuple(os.open(file, os.O_RDONLY | os.O_CLOEXEC) for file in files)
    try:
        parts = tuple(_part(file, descriptor) for file, descriptor in zip(files, descriptors, strict=True))
        with running(settings, folder) as sandbox:
            report = analyse(sandbox, Work(parts=parts, descriptors=descriptors, limits=settings.limits))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
    chosen = next(found for found in REPORT_VIEWS if found.name == view)
    return rendered(report, chosen, Options(language=language)).rstrip("\n") + "\n"


def _part(file: Path, descriptor: int) -> Part:
    digest = blake3().update_mmap(file).hexdigest()
    return Part(name=file.name, bytes=file.stat().st_size, blake3=digest, sha256=sha256_of(descriptor))


@main.command()
def spec() -> None:
    """Print the OpenAPI description."""
    click.echo(problems.encode(openapi.build()).decode())


if __name__ == "__main__":
    main()
