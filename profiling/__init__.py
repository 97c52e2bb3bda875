"""FLOPs, latency on a target, the accuracy and capacity fits, and the profile that holds them. To come."""
