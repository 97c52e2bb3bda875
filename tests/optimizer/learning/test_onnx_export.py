"""The exported policy decides as the trained one does."""

import numpy as np
import pytest

from optimizer import draw_states
from optimizer.learning.course import count_levels
from optimizer.learning.onnx_export import to_onnx
from optimizer.network.slots import count_tasks


def test_onnx_decides_as_torch_does(trained):
    import onnxruntime

    learner, _ = trained
    course = learner.courses[0]
    session = onnxruntime.InferenceSession(to_onnx(learner.policy, 2 * learner.width, 5))
    state = draw_states(course.scenario, 30, 8)
    action = course.decide(learner.policy, state)
    for i in range(3):  # batches of 1 and of 30
        part = state[i : i + 1] if i else state
        sent, model, share = session.run(
            None,
            {
                "counts": count_levels(part, course.scenario).numpy(),
                "channel": part.channel.astype(np.int64),
                "gateway_type": course.gateway_type.numpy(),
                "groups": course.groups.numpy(),
                "penalty": np.array(course.scenario.penalty / course.scenario.sensors, np.float32),
            },
        )
        expected = action[i : i + 1] if i else action
        assert np.array_equal(model, expected.model)
        assert np.array_equal(sent, count_tasks(part, expected.offload, 6)[0])
        assert share == pytest.approx(expected.share, abs=1e-5)
