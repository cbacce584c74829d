"""Cost per hour of a rendered cluster:  cost.py CLUSTER.yaml PRICES.yaml

Prices change every day, so none are kept here. The user writes a file, with the day on which they were looked up:

    date: 2026-01-31
    region: us-east-1
    currency: USD
    hourly:            # of one machine, from the provider's price list
      m6i.2xlarge: {on_demand: 0.0}
      g5.2xlarge: {spot: 0.0}
    fixed_hourly: {nat_gateway: 0.0}   # optional: what runs beside the cluster
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import yaml

OLDEST = 30
"""Days after which a price file is refused."""


class PriceError(Exception):
    """A price file that cannot be trusted."""


def estimate(cluster: dict[str, Any], prices: dict[str, Any], today: datetime.date) -> list[tuple[str, float]]:
    """(what, price per hour), with all workers running; the first two lines are the least and the most."""
    _check(cluster, prices, today)
    lines, least, most = [], 0.0, 0.0
    for name, kind in cluster["available_node_types"].items():
        machine, market = kind["node_config"]["InstanceType"], _market(kind)
        price = _number(prices["hourly"].get(machine, {}).get(market), f"hourly.{machine}.{market}")
        is_head = name == cluster["head_node_type"]
        count = 1 if is_head else kind.get("max_workers", cluster["max_workers"])
        lines.append((f"{count} x {machine} {market.replace('_', ' ')} ({name})", count * price))
        least += price * (1 if is_head else kind.get("min_workers", 0))
        most += price * count
    for name, price in (prices.get("fixed_hourly") or {}).items():
        lines.append((name, _number(price, f"fixed_hourly.{name}")))
        least, most = least + lines[-1][1], most + lines[-1][1]
    return [("idle, no workers", least), ("all workers running", most), *lines]


def _market(kind: dict[str, Any]) -> str:
    return "spot" if "InstanceMarketOptions" in kind["node_config"] else "on_demand"


def _check(cluster: dict[str, Any], prices: dict[str, Any], today: datetime.date) -> None:
    date = prices.get("date")
    if not isinstance(date, datetime.date):
        raise PriceError("date: missing; write the day on which the prices were looked up (YYYY-MM-DD)")
    if not 0 <= (today - date).days <= OLDEST:
        raise PriceError(f"date: {date} is not within the last {OLDEST} days; look the prices up again")
    region = cluster["provider"]["region"]
    if prices.get("region") != region:
        raise PriceError(f"region: the prices are for {prices.get('region')}, the cluster is in {region}")


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise PriceError(f"{where}: needs a price above 0, not {value!r}")
    return float(value)


def main() -> None:
    """Print the estimate."""
    try:
        cluster, prices = (yaml.safe_load(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
        found = estimate(cluster, prices, datetime.date.today())
    except PriceError as error:
        sys.exit(f"error: {sys.argv[2]}: {error}")
    except (OSError, ValueError, KeyError, AttributeError, yaml.YAMLError) as error:
        sys.exit(f"error: {type(error).__name__}: {' '.join(str(error).split())}")
    print(f"prices of {prices['date']} in {prices['region']}, {prices.get('currency', 'USD')} per hour")
    for what, price in found:
        print(f"  {price:10.4f}  {what}")
    print("  storage, traffic and requests come on top")


if __name__ == "__main__":
    main()
