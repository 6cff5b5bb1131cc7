"""From flows to masks: `hts` beside cellpose's own functions, per step and in all, in one process.

One 2048 x 2048 field with about 1,000 touching cells; flows and probabilities like a network's: blurred, with noise,
wrong in some cells. One thread, CPU time, medians; the masks are compared before anything is printed. With
``--device cuda`` both run on that device, and wall time counts.
Run ``python benchmarks/bench_flows.py [--small] [--rounds N] [--peer-rounds N] [--device DEVICE]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for tests, when run as a script

from benchmarks._crowded import FieldSpec, make_field
from hts.stages.segment.flows import FlowParams, masks, masks_from_flows
from hts.stages.segment.flows.targets import flows_of_labels
from tests.stages.segment.matching import overlaps

PARAMS = FlowParams()
Flows = NDArray[np.float32]
Steps = dict[str, Callable[[dict[str, Any]], None]]


def make_flows(spec: FieldSpec, noise: float = 0.15, wrong: float = 0.05) -> tuple[NDArray[np.int32], Flows, Flows]:
    """Labels, and flows (2, Y, X) and probability (Y, X) as a network might give them.

    `noise` is the standard deviation of the smooth noise over the length of a flow; in a part `wrong` of the cells the
    flows point elsewhere.
    """
    labels, _ = make_field(spec)
    rng = np.random.default_rng(spec.seed)
    unit, inside = flows_of_labels(labels)
    rough = np.stack([ndimage.gaussian_filter(rng.normal(size=labels.shape), 2) for _ in range(2)])
    blurred = np.stack([ndimage.gaussian_filter(plane, 1.5) for plane in unit])
    flows = 5 * (blurred + noise * rough / rough.std())
    chosen = rng.choice(np.arange(1, labels.max() + 1), int(wrong * labels.max()), replace=False)
    flows = np.where(np.isin(labels, chosen), -0.7 * flows[::-1], flows)
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    probability = depth.clip(-6, 6) + rng.normal(scale=0.5, size=depth.shape)
    return labels, flows.astype(np.float32), probability.astype(np.float32)


def our_steps(flows: Flows, probability: Flows) -> Steps:
    """The steps of the kernels, each from what the one before left in the table."""

    def follow(done: dict[str, Any]) -> None:
        done["ends"] = masks.end_points(flows, probability, PARAMS)

    def sinks(done: dict[str, Any]) -> None:
        done["masks"] = masks.drop_large(masks.masks_of_ends(*done["ends"]), PARAMS)

    def errors(done: dict[str, Any]) -> None:
        done["masks"] = masks.drop_bad_flows(done["masks"], flows, PARAMS)

    def holes(done: dict[str, Any]) -> None:
        done["masks"] = masks.finish(done["masks"], PARAMS)

    return {"follow": follow, "sinks": sinks, "flow errors": errors, "holes and small": holes}


def peer_steps(flows: Flows, probability: Flows) -> Steps:
    """The functions that cellpose's ``compute_masks`` calls, with numbers made consecutive before the last."""
    import fastremap
    import torch
    from cellpose import dynamics, utils

    host = torch.device("cpu")
    inside = probability > PARAMS.probability_threshold
    where = np.nonzero(inside)

    def follow(done: dict[str, Any]) -> None:
        done["ends"] = dynamics.follow_flows(flows * inside / 5.0, inds=where, niter=PARAMS.steps, device=host)

    def sinks(done: dict[str, Any]) -> None:
        ends = torch.from_numpy(done["ends"]).int()
        done["masks"] = dynamics.get_masks_torch(ends, where, probability.shape, max_size_fraction=PARAMS.max_fraction)

    def errors(done: dict[str, Any]) -> None:
        done["masks"] = dynamics.remove_bad_flow_masks(done["masks"], flows, PARAMS.flow_threshold, host)

    def holes(done: dict[str, Any]) -> None:
        numbered = fastremap.renumber(done["masks"])[0]
        done["masks"] = utils.fill_holes_and_remove_small_masks(numbered, min_size=PARAMS.min_area_px)

    return {"follow": follow, "sinks": sinks, "flow errors": errors, "holes and small": holes}


def cpu_seconds(steps: Steps, rounds: int) -> tuple[dict[str, float], NDArray[Any]]:
    """Median CPU time of each step and of all of them, and the masks."""
    times: dict[str, list[float]] = {name: [] for name in (*steps, "all")}
    for _ in range(rounds):
        done: dict[str, Any] = {}
        begin = time.process_time()
        for name, step in steps.items():
            start = time.process_time()
            step(done)
            times[name].append(time.process_time() - start)
        times["all"].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in times.items()}, done["masks"]


def device_seconds(device: str, flows: Flows, probability: Flows, rounds: int) -> dict[str, tuple[float, NDArray[Any]]]:
    """Median wall time of all steps on a torch device, from flows there to masks on the host: ours and cellpose's."""
    import fastremap
    import torch
    from cellpose import dynamics, utils

    from hts.stages.segment.flows.device import raw_masks_on_device

    there = torch.from_numpy(flows).to(device), torch.from_numpy(probability).to(device)

    def ours() -> NDArray[Any]:
        return masks.finish(raw_masks_on_device(*there, PARAMS), PARAMS)

    def peer() -> NDArray[Any]:
        given = [tensor.cpu().numpy() for tensor in there]
        found = dynamics.compute_masks(*given, min_size=-1, device=torch.device(device))
        return utils.fill_holes_and_remove_small_masks(fastremap.renumber(found)[0], min_size=PARAMS.min_area_px)

    result = {}
    for name, call in (("ours", ours), ("peer", peer)):
        call()
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            found = call()
            times.append(time.perf_counter() - start)
        result[name] = (statistics.median(times), found)
    return result


def agreement(peer: NDArray[Any], ours: NDArray[Any]) -> dict[str, Any]:
    """Objects of both, F1 at an IoU of 0.9, the part of equal pixels."""
    table = overlaps(peer, ours)
    return {
        "peer_objects": table.shape[0],
        "our_objects": table.shape[1],
        "f1_at_0.9": 2 * int((table > 0.9).sum()) / max(sum(table.shape), 1),
        "pixels_equal": float(((peer > 0) == (ours > 0)).mean()),
    }


def compare(spec: FieldSpec, rounds: int, peer_rounds: int) -> dict[str, Any]:
    _, flows, probability = make_flows(spec)
    masks.warm_up()
    peer_seconds, theirs = cpu_seconds(peer_steps(flows, probability), peer_rounds)
    our_seconds, found = cpu_seconds(our_steps(flows, probability), rounds)
    same = bool((found == masks_from_flows(flows, probability, PARAMS)).all())
    return {
        "benchmark": "flows",
        "peer": "cellpose",
        "field": {"side_px": spec.side_px, "cells": spec.cells},
        "ours_s": our_seconds,
        "ours_n": rounds,
        "peer_s": peer_seconds,
        "peer_n": peer_rounds,
        "ratio": {name: peer_seconds[name] / our_seconds[name] for name in our_seconds},
        "steps_equal_the_whole": same,
        **agreement(theirs, found),
    }


def compare_on_device(spec: FieldSpec, device: str, rounds: int) -> dict[str, Any]:
    _, flows, probability = make_flows(spec)
    masks.warm_up()
    measured = device_seconds(device, flows, probability, rounds)
    on_host = masks_from_flows(flows, probability, PARAMS)
    return {
        "benchmark": "flows",
        "device": device,
        "field": {"side_px": spec.side_px, "cells": spec.cells},
        "ours_s": {"all": measured["ours"][0]},
        "peer_s": {"all": measured["peer"][0]},
        "ours_n": rounds,
        "peer_n": rounds,
        "ratio": {"all": measured["peer"][0] / measured["ours"][0]},
        "device_equals_host": agreement(on_host, measured["ours"][1]),
        **agreement(measured["peer"][1], measured["ours"][1]),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="a 256 x 256 field, to see that the benchmark works")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=1, help="half a minute each")
    parser.add_argument("--device", help="run the torch path on this device, as 'cuda'")
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message="Sparse invariant checks")  # of cellpose's own code
    spec = FieldSpec(side_px=256, cells=20, channels=1) if chosen.small else FieldSpec(channels=1)
    if chosen.device:
        result = compare_on_device(spec, chosen.device, chosen.rounds)
    else:
        result = compare(spec, chosen.rounds, chosen.peer_rounds)
    print(json.dumps(result))
    for name, ratio in result["ratio"].items():
        ours, peer = result["ours_s"][name], result["peer_s"][name]
        print(f"{name}: {ratio:.1f} times; {ours * 1e3:.0f} ms (n = {result['ours_n']}) against {peer * 1e3:.0f} ms")
    print(f"{result['our_objects']} objects of {result['peer_objects']}; F1 at IoU 0.9 {result['f1_at_0.9']:.4f}")
    return 0 if result["f1_at_0.9"] == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
