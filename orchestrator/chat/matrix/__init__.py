"""Matrix, with matrix-nio: `Matrix` is the adapter, and each other file one part of it."""

from .adapter import Matrix

__all__ = ["Matrix"]
