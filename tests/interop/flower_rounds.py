"""Three rounds of Flower with the example strategy; prints what came of them as JSON.

Flower's own strategy code, client apps, messages and records; only the network between them is a loop.
Runs in an environment that has Flower: `python flower_rounds.py STRATEGY.py`.
"""

import json
import runpy
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from api.budgets import budget_history, create_budget

NODES = 12
ROUNDS = 3
BOUND = 1.0
TARGET = np.array([1.5, -1.0, 0.5])
app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Move towards the target; some clients are broken, and one wants all for itself."""
    (arrays,) = message.content.array_records.values()
    weights, offset = arrays["weights"].numpy(), arrays["offset"].numpy()
    step = (TARGET - weights) * 0.5
    trained: dict[str, Any] = {"weights": (weights + step).astype(weights.dtype), "offset": offset}
    if context.node_id == 1:
        trained["weights"] = np.full_like(weights, np.nan)
    if context.node_id == 2:
        trained["weights"] = np.full_like(weights, -1e30)
    if context.node_id == 3:
        trained["weights"] = np.zeros((4, 3), weights.dtype)
    record = ArrayRecord({name: Array(array) for name, array in trained.items()})
    content = RecordDict({"arrays": record, "metrics": MetricRecord({"num-examples": 100})})
    return Message(content, reply_to=message)


class Loop(Grid):
    """A grid whose nodes are called one after another; node 4 never gets anything done."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.replies: list[Message] = []

    def get_node_ids(self) -> Iterable[int]:
        """All nodes, from 1."""
        return range(1, self.nodes + 1)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Let each client app answer; the last round's replies stay here."""
        del timeout
        replies = [self._answer(message) for message in messages]
        self.replies = replies or self.replies
        return replies

    def _answer(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        message.metadata.__dict__["_message_id"] = f"m{node}"
        if node == 4:
            return Message(Error(code=0, reason="out of memory"), reply_to=message)
        return app(message, Context(1, node, {}, RecordDict(), {}))

    def set_run(self, run: Any) -> None:
        """Not asked for."""
        raise NotImplementedError

    @property
    def run(self) -> Any:
        """Not asked for."""
        raise NotImplementedError

    def create_message(self, *words: Any, **named: Any) -> Message:
        """Not asked for; Flower says not to use it."""
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Not asked for."""
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Not asked for."""
        raise NotImplementedError


def rounds(strategy: type[Any], nodes: int) -> dict[str, Any]:
    """Train, then ask for the last round once more."""
    terms = {"budget": "models", "expected": nodes, "bound": BOUND, "epsilon": 400.0, "delta": 1e-6}
    training = strategy(run=f"nodes-{nodes}", min_train_nodes=nodes, min_available_nodes=nodes, **terms)
    grid = Loop(nodes)
    start: dict[str, Any] = {"weights": np.zeros(3, np.float32), "offset": np.zeros((1, 2), np.float64)}
    began = ArrayRecord({name: Array(array) for name, array in start.items()})
    result = training.start(grid, began, num_rounds=ROUNDS)
    again, metrics = training.aggregate_train(ROUNDS, grid.replies)
    model = {name: array.numpy() for name, array in result.arrays.items()} if result.arrays else start
    return {
        "weights": model["weights"].tolist(),
        "offset": model["offset"].tolist(),
        "types": {name: str(array.dtype) for name, array in model.items()},
        "again": {} if again is None else {name: array.numpy().tolist() for name, array in again.items()},
        "metrics": metrics,
    }


def main() -> None:
    """Train with enough clients, and with too few."""
    strategy = runpy.run_path(sys.argv[1])["ProtectedFedAvg"]
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 0
    create_budget("models", composition="zcdp", delta=1e-6, unlimited=True)
    told = {"enough": rounds(strategy, NODES), "few": rounds(strategy, 5)}
    sys.stdout.write(json.dumps(told | {"history": len(budget_history("models"))}) + "\n")


if __name__ == "__main__":
    main()
