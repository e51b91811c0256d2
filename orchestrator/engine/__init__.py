"""The durable operations, step by step, and their live progress."""
