"""A learner that has finished a short training."""

import numpy as np
import pytest
import torch

from optimizer import Scenario, optimum
from optimizer.learning.learner import Learner
from optimizer.learning.schedule import LearnerConfig

QUICK = LearnerConfig(updates=800, slots=64)


@pytest.fixture(scope="session")
def trained():
    """The learner, and how far each checkpoint was from the optimum in each validation slot."""
    torch.set_num_threads(1)
    learner = Learner([Scenario.load("paper").with_sensors(200)], QUICK, seed=0)
    gaps = []
    while not learner.finished:
        learner.run_block()
        course = learner.courses[0]
        best = optimum(course.scenario, course.validation).reward
        gaps.append(best - course.validate(learner.policy).reward)
    return learner, np.array(gaps)
