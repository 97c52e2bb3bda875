"""Training a policy from Python, without a command line."""

from pathlib import Path

from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.learning.run import train
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.scenario import Scenario
from optimizer.network.world import World


def train_policy(
    scenario: Scenario, out: str | Path, *, updates: int | None = None, seed: int = 0, world: World | None = None
) -> LearnedPolicy:
    """Train the default preset on one network, and load the policy.

    The policy is kept in a folder below `out`, named after the number of sensors and the seed, exactly as `python -m
    optimizer.train` keeps it. A call that was stopped goes on from its last checkpoint, and a call that is repeated
    loads what is there.

    Args:
        scenario: Network to train on.
        out: Folder of policies.
        updates: Number of updates of the training. By default 1,500, which come within 1 % of the optimum, and 60 in a
            factory's network; 25 show that it works.
        seed: Random seed of the training.
        world: What really happens, where it differs from the scenario; by default nothing does.

    Raises:
        OptimizerError: A policy of another configuration is already in the folder.
    """
    job = Job(f"n{scenario.sensors}-seed{seed}", (scenario,), seed)
    given = {} if updates is None else {"updates": updates}
    config = TrainConfig(
        out=Path(out), learner=LearnerConfig(**given), factory=FactoryConfig(**given), world=world or World()
    )
    train(job, config, lambda *_: None)
    return LearnedPolicy(config.out / job.name)
