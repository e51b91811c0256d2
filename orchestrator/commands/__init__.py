"""What can be asked for: one small module per noun. Every front door calls these and nothing deeper."""

from .world import World

__all__ = ["World"]
