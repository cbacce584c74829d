"""Configuration -> objects. Below this package nothing sees a configuration."""
