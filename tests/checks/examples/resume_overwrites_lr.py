from tests.checks.tiny import TinyTraining


class StateOfARunThatEnded(TinyTraining):
    """The earlier run's schedule had taken the learning rate down to a thousandth."""

    end = 1e-3

    def train(self) -> None:
        state = self.optimizer.state_dict()
        for group in state["param_groups"]:
            group["lr"] *= self.end
        self.optimizer.load_state_dict(state)
        super().train()


class AThirdOfIt(StateOfARunThatEnded):
    end = 1 / 3


SICK = [StateOfARunThatEnded]
HEALTHY = [AThirdOfIt]
