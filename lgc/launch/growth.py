"""Whether a Ray cluster may get nodes that are not there yet."""

from __future__ import annotations

import json
from typing import Final

_STATUS: Final = "__autoscaling_status"
"""Where Ray keeps what ``ray status`` prints."""


def may_grow() -> bool:
    """Whether an autoscaler may bring nodes to the cluster that this process has joined.

    True where that cannot be told: no call of Ray's says it. In every cluster something keeps account of the kinds of
    nodes; where nobody starts nodes but people, each node is a kind of its own, called after its id. Ray's newer
    autoscaler keeps its account elsewhere.
    """
    import ray
    from ray.experimental.internal_kv import _internal_kv_get

    try:
        account = json.loads(_internal_kv_get(_STATUS))["autoscaler_report"]
        kinds = {*account["active_nodes"], *account["pending_launches"]}
    except Exception:  # no account, or another form of it in another version of Ray
        return True
    return not kinds or not kinds <= {f"node_{node['NodeID']}" for node in ray.nodes()}
