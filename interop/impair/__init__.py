"""A bad network on purpose: datagrams between two ends, lost, late, out of order and doubled by plan."""
