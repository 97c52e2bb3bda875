"""The network's system model, its exact optimum, the learned policy and the schemes it is compared with. To come."""
