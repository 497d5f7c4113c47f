"""The number of this release, for the rooms that may not import the library's face."""

__version__ = "0.1.0"
