"""`make demo`: both networks on one machine."""
