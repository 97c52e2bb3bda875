"""Small factory networks for tests: gateways that work by level or in one batch, with a queue at the edge or none."""

from optimizer import Scenario

KINDS = [("by level", "fifo"), ("by level", "none"), ("one batch", "fifo")]
MODELS = (
    {"rate": 0.1, "accuracy": 0.998, "latency_s": [(1, 0.03), (4, 0.1), (16, 0.37), (64, 1.4)]},
    {"rate": 0.5, "accuracy": 0.98, "latency_s": [(1, 0.014), (4, 0.045), (16, 0.18), (64, 0.68)]},
    {"rate": 0.9, "accuracy": 0.95, "latency_s": [(1, 0.006), (4, 0.018), (16, 0.07), (64, 0.26)]},
)


def factory_network(execution="by level", queue="fifo", groups=(12, 8, 10), task_s=0.004, **changes) -> Scenario:
    return Scenario.load("paper").change(
        name="factory", groups=groups, models=MODELS, gateway={"execution": execution}, reward="service",
        edge={"task_s": task_s, "queue": queue}, **changes,
    )  # fmt: skip
