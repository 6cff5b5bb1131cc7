"""``hts plan``"""

from __future__ import annotations

from hts.cli.output import Json, Out, PlateArgument, RecipeArgument, Settings, Wells, emit, show, verb


@verb
def plan(
    plate: PlateArgument,
    recipe: RecipeArgument,
    settings: Settings = None,
    out: Out = None,
    wells: Wells = None,
    as_json: Json = False,
) -> int:
    """Say what a run would do: wells to compute and already done, bytes, memory, time.

    Example: hts plan plate.ome.zarr translocation --set channels.dna=DAPI --set channels.reporter=GFP
    """
    from hts.engine import prepare
    from hts.model import parse_wells
    from hts.recipe import Recipe

    loaded = Recipe.load(recipe, settings or [])
    prepared = prepare(plate, loaded, out=out, wells=None if wells is None else parse_wells(wells))
    found = prepared.plan.to_json() | {"results": str(prepared.results), "notes": list(prepared.notes)}
    if as_json:
        emit(found)
        return 0
    for line in prepared.plan.lines():
        show(line)
    for note in prepared.notes:
        show(f"note: {note}")
    show(f"results go to {prepared.results}")
    return 0
