"""GB/T 28181: what platforms mean, how it is written, and the two faces we show."""
