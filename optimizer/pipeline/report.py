"""One page for a person who decides: which models to deploy, what the network can carry, what the policy gains.

A single HTML file that opens offline: pictures are inside it, there is no script. `write_report` takes what the
pipeline's stages left in a run folder and leaves out what is not there.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from data.common.files import sha256, write_whole
from optimizer.errors import OptimizerError
from profiling.profile.profile import Profile


def read_json(path: Path) -> dict[str, Any]:
    """A stage's file. Raises OptimizerError where it is missing or damaged; the stage is named."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise OptimizerError(f"{path}: missing.", "Run the pipeline again: it makes what is missing.") from None
    except (OSError, ValueError, TypeError) as error:
        raise OptimizerError(f"{path}: cannot be read ({error}).", "Remove it and run the pipeline again.") from None


def picture(path: Path) -> str:
    """A PNG as a data address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def models_table(bundle: dict[str, Any], gateway: Profile, batch: int) -> list[dict[str, Any]]:
    """What each model costs and gives on the gateway.

    Args:
        bundle: `models.json`.
        gateway: Its profile.
        batch: Sensors a gateway: the batch of which latency is shown.
    """
    rows = []
    for entry in sorted(bundle["models"], key=lambda m: m["rate"]):
        rate = entry["rate"]
        largest = max(c.batch for c in gateway.cells(rate))
        shown = min(batch, largest)
        after = (entry["after"] or entry["before"] or {}).get("clean", {})
        rows.append(
            {
                "rate": rate,
                "name": "complete" if rate == 0 else f"p = {rate:g}",
                "accuracy": 100 * entry["accuracy"],
                "interval": [100 * x for x in entry["accuracy_interval"]],
                "missed": 100 * after["missed_faults"]["value"] if after.get("missed_faults") else None,
                "flops": entry["flops"] / 1e6,
                "megabytes": entry["file_bytes"] / 1e6,
                "one_ms": 1e3 * gateway.latency(rate, 1),
                "batch": shown,
                "batch_ms": 1e3 * gateway.latency(rate, shown),
                "p99_ms": 1e3 * gateway.latency(rate, shown, percentile="p99"),
            }
        )
    return rows


def advice(models: list[dict[str, Any]], scenario: dict[str, Any], used: dict[float, float]) -> list[str]:
    """Which models to deploy on the gateway and why, in sentences."""
    found = []
    relative = {m["rate"]: m["accuracy"] for m in scenario["models"]}
    for level in (scenario["qos"][0], scenario["qos"][-1]):
        able = [m for m in models if m["rate"] in relative and relative[m["rate"]] >= level["min_accuracy"]]
        if able:
            best = min(able, key=lambda m: m["batch_ms"])
            found.append(
                f"For criticality {level['criticality']:g} (accuracy of at least {level['min_accuracy']:.3f} of the "
                f"complete model's, within {level['max_delay_s']:g} s) the fastest model that is accurate enough is "
                f"{best['name']}: {best['batch_ms']:.1f} ms for {best['batch']} windows, {best['megabytes']:.1f} MB."
            )
        else:
            found.append(
                f"No pruned model is accurate enough for criticality {level['criticality']:g} "
                f"({level['min_accuracy']:.3f}); such tasks must go to the edge."
            )
    if used:
        parts = ", ".join(f"p = {rate:g} in {100 * share:.0f} %" for rate, share in sorted(used.items()))
        found.append(f"The policy runs {parts} of the batches that it keeps on gateways.")
    else:
        found.append(
            "The policy sends every task to the edge here: the reward counts time spent, and the link's is worth more "
            "than this gateway's. Where the link is worse or delay counts (--reward delay), gateways take over."
        )
    return found


def carried(capacity: list[dict[str, float]], limit: float = 0.001) -> str:
    """How many sensors a gateway can serve, in a sentence."""
    good = [r["sensors_a_gateway"] for r in capacity if r["drop_ratio"] <= limit]
    bad = [r["sensors_a_gateway"] for r in capacity if r["drop_ratio"] > limit]
    if not good:
        return "Even one sensor a gateway loses tasks: the requirements cannot be met with these models and this link."
    if not bad:
        return (
            f"At least {max(good):.0f} sensors a gateway can be served with at most {100 * limit:g} % of the tasks "
            "dropped (the largest batch that was profiled)."
        )
    return (
        f"Up to {max(good):.0f} sensors a gateway can be served with at most {100 * limit:g} % of the tasks lost; at "
        f"{min(bad):.0f} even the optimum drops more."
    )


def write_report(run: Path, out: Path) -> None:
    """The page from a run folder's stages.

    Args:
        run: Folder of the pipeline (`bundle`, `gateway.json`, `edge.json`, `experiment`, `evaluation.json`,
            `trial.json`, `second-trial.json`).
        out: The HTML file.

    Raises:
        OptimizerError: A stage's file is missing or damaged.
    """
    bundle = read_json(run / "bundle" / "models.json")
    results = read_json(run / "experiment" / "results.json")
    evaluation = read_json(run / "evaluation.json")
    first, trial = read_json(run / "trial.json"), read_json(run / "second-trial.json")
    gateway, edge = Profile.load(run / "gateway.json"), Profile.load(run / "edge.json")
    figures = run / "experiment" / "figures"
    captions = read_json(figures / "captions.json")
    scenario = evaluation["scenario"]
    models = models_table(bundle, gateway, max(scenario["groups"]))
    policies = [{"name": "optimum", "gap": 0.0, "learned": False, **evaluation["optimum"]}]
    policies += [{"name": n, **p} for n, p in evaluation["policies"].items()]
    local = [t for t in trial["tasks"] if not t["probe"] and t["rate"] > 0]
    batches = {(t["slot"], t["gateway"]): t["rate"] for t in local}
    used = {r: sum(x == r for x in batches.values()) / len(batches) for r in set(batches.values())}
    files = [
        run / "bundle" / "models.json", run / "gateway.json", run / "edge.json", run / "experiment" / "results.json",
        run / "evaluation.json", run / "trial.json", run / "second-trial.json",
    ]  # fmt: skip
    page = Environment(
        loader=PackageLoader("optimizer", "templates"), autoescape=select_autoescape(["html"], default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    ).get_template("report.html").render(
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        bundle=bundle,
        gateway=gateway,
        edge=edge,
        scenario=scenario,
        models=models,
        advice=advice(models, scenario, used),
        carried=carried(results["capacity"]),
        policies=policies,
        slots=evaluation["slots"],
        first=first,
        trial=trial,
        claims=json.loads((figures / "claims.json").read_text(encoding="utf-8")),
        figures=[(n, captions[n], picture(figures / f"{n}.png")) for n in captions if n != "capacity"],
        capacity=picture(figures / "capacity.png") if "capacity" in captions else None,
        trial_picture=picture(figures / "trial.png"),
        hashes=[(str(p.relative_to(run)), sha256(p)) for p in files],
        configuration=json.dumps(scenario, indent=1),
    )  # fmt: skip
    write_whole(out, page.encode())
