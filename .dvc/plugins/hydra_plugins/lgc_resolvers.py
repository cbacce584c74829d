"""Imported by Hydra when `dvc exp run` composes conf/: what its files need beside Hydra itself."""

from lgc.config.resolvers import register

register()
