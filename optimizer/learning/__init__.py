"""The learned policies: the project's own and the paper's soft actor-critic, from training to deployment.

In: a scenario and an environment. Out: a policy folder, and `LearnedPolicy`, which decides without torch. Start reading
at `policy` (how it decides), `critic` (what it learns) and `learner` (how). May import `optimizer.environment`,
`optimizer.solver` and `optimizer.network`; `deployed` and the manifest need no torch.
"""
