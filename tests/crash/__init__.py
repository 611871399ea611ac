"""The crash harness: kills, power cuts, failing disks and races, counted against what a data set held before.

Each experiment runs in a process of its own (`python -m tests.crash kills mode=link …`) that loads no torch, forks
its victims and prints one line of JSON. The tests and bench/crash.py read that line.
"""
