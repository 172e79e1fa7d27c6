"""Readers of users' files: what lies in them, refused or said in words. Nothing here imports torch."""
