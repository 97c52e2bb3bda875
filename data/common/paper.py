"""Figures of the paper that several packages show beside their own."""

# Table II(a): accuracy relative to the complete model, by pruning rate, on the paper's own data.
PAPER_ACCURACY = {0.1: 0.9976, 0.3: 0.9803, 0.5: 0.9752, 0.7: 0.9517, 0.8: 0.9477, 0.9: 0.9221}
SENSOR_HZ = 4000.0  # sampling rate of a sensor
