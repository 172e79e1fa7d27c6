"""Shared by the compiler's tests."""

from against_eager import quickly

__all__ = ["quickly"]
