"""Other ends of the wire: simulators, the demo, real programs."""
