"""A Flower strategy whose rounds are released by Aegis: updates cut, summed in whole steps, with noise.

In a Flower app (`pip install 'aegis-privacy-worker[flower]'`):

    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = ProtectedFedAvg(
            run=f"run-{context.run_id}", budget="models", expected=100, bound=1.0, epsilon=0.5, delta=1e-6
        )
        strategy.start(grid, ArrayRecord(model.state_dict()), num_rounds=20)

What is protected is one client in one round; the budget's account adds up the rounds, and a round that it
cannot pay for stops the training with `BudgetSpent`. The model is all that leaves a round: the clients'
metrics would tell of single clients as well, so none are aggregated. Evaluate on the server (`evaluate_fn`).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

from aegis.errors import TooFew
from aegis.federated.clipping import clip_contributions
from aegis.privacy import federated_aggregation_protect


class ProtectedFedAvg(FedAvg):
    """Federated averaging in which no client moves the model by more than bound / expected, plus noise.

    Every client counts once: weights by its number of examples would be private, and would add to its reach.
    """

    def __init__(
        self,
        *,
        run: str,
        budget: str,
        expected: int,
        bound: float,
        epsilon: float,
        delta: float,
        fewest: int = 5,
        **sampling: Any,
    ) -> None:
        """Set what a round may cost.

        Args:
            run: names the training; with the round's number it is the release's idempotency key.
            budget: the account that pays for each round.
            expected: what sums are divided by: a number of clients that is fixed beforehand, not who came.
            bound: the L2 norm that a client's change of the model is cut to.
            epsilon: of one round.
            delta: of one round.
            fewest: a round with fewer clients leaves the model as it is.
            sampling: as for `FedAvg`: fraction_train, min_train_nodes, min_available_nodes, ...

        """
        super().__init__(**(sampling | {"fraction_evaluate": 0.0}))
        self.run, self.budget, self.expected, self.bound = run, budget, expected, bound
        self.epsilon, self.delta, self.fewest = epsilon, delta, fewest
        self._model: dict[str, NDArray[Any]] = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Keep the model that the clients start from, and send it to them."""
        self._model = {name: array.numpy() for name, array in arrays.items()}
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Release the clients' mean change once, whoever asks how often, and move the model by it."""
        changes = [reply for reply in replies if reply.has_content()]
        if not changes:
            return None, None
        clipped = clip_contributions(map(self._change, changes), norm="l2", bound=self.bound)
        try:
            released = federated_aggregation_protect(
                clipped.mean(self.expected),
                clipped.participants,
                self.fewest,
                mechanism="gaussian",
                dp_epsilon=self.epsilon,
                dp_delta=self.delta,
                budget=self.budget,
                idempotency_key=f"{self.run}-round-{server_round}",
            )
        except TooFew:
            return None, None
        return self._moved(np.asarray(released)), None

    def _change(self, reply: Message) -> NDArray[np.float64]:
        """Return a client's change as one vector; one that does not fit the model counts as zero."""
        try:
            (record,) = reply.content.array_records.values()
            trained = {name: array.numpy() for name, array in record.items()}
            if {name: array.shape for name, array in trained.items()} == self._shapes():
                return self._difference(trained)
        except (ValueError, TypeError, OSError):
            pass
        return np.full(sum(array.size for array in self._model.values()), np.nan)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self._model.items()}

    def _difference(self, trained: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):
            parts = [
                np.subtract(trained[name], before, dtype=np.float64).reshape(-1)
                for name, before in self._model.items()
            ]
        return np.concatenate(parts)

    def _moved(self, change: NDArray[np.float64]) -> ArrayRecord:
        ends = np.cumsum([array.size for array in self._model.values()])
        parts = zip(self._model.items(), np.split(change, ends[:-1]), strict=True)
        return ArrayRecord(
            {
                name: Array((before + part.reshape(before.shape)).astype(before.dtype))
                for (name, before), part in parts
            }
        )
