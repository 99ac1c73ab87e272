"""A configuration file: the dirty workers keep to CPUs of their own, so that HTTP has the others to itself."""

import os


def dirty_post_fork(arbiter, worker):
    worker.affinity = [int(cpu) for cpu in os.environ["POOL_CPUS"].split(",")]
