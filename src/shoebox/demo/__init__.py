"""The embedded demo data: real handwritten digits with planted faults, so that nothing has to be downloaded."""

from shoebox.demo._digits import Planted, planted, write

__all__ = ["Planted", "planted", "write"]
