"""The command `clearprop gallery`."""

from __future__ import annotations

from typing import Annotated

import typer

from clearprop.cli.arguments import check_outputs
from clearprop.errors import ArgumentError
from clearprop.gallery import script, scripts
from clearprop.terminal import wrap


def gallery(
    name: Annotated[str | None, typer.Argument(help="Example to run.", show_default="list them")] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of starts of a study.", show_default="30")] = None,
    picture: Annotated[str | None, typer.Option(help="SVG file to draw the result to.")] = None,
) -> None:
    """List the worked examples and problems from the literature, or run one."""
    if name is not None:
        example = script(name)
        check_outputs([], [picture])
        example.run(seeds, picture)
        if picture is not None:
            typer.echo(f"picture written to {picture}")
        return
    if seeds is not None or picture is not None:
        raise ArgumentError("gallery: --seeds and --picture need the name of an example.")
    examples = scripts()
    width = max(map(len, examples))
    for example in examples.values():
        typer.echo(wrap(f"{example.name:{width}s}  {example.about}", indent=width + 2))
