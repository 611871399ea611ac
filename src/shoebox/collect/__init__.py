"""Getting pictures into a data set. For now from a folder on this machine; web search comes later."""

from shoebox.collect._folder import CollectReport, collect_folder

__all__ = ["CollectReport", "collect_folder"]
