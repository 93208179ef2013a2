"""Lockgate, the product: two sides, the lock between them, and what operators see."""
