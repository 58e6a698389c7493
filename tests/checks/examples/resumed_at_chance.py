import torch

from tests.checks.tiny import TinyTraining


class HeadWasNotSaved(TinyTraining):
    """The optimizer remembers 5000 steps, and the checkpoint of the model lacks the head."""

    updates = 5000
    remembers_head = True

    def train(self) -> None:
        self.restore()
        super().train()

    def restore(self) -> None:
        state = self.optimizer.state_dict()
        held = [p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]
        forgotten = [] if self.remembers_head else self.head_parameters()
        state["state"] = {
            index: {
                "step": torch.tensor(float(self.updates)),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.full_like(p, 1e-4),
            }
            for index, p in enumerate(held)
            if not any(p is other for other in forgotten)
        }
        self.optimizer.load_state_dict(state)
        self.restore_model()

    def restore_model(self) -> None:
        weights = {n: w.clone() for n, w in self.model.state_dict().items() if "classifier" not in n}
        self.model.load_state_dict(weights, strict=False)


class HeadMadeAnew(HeadWasNotSaved):
    """On purpose: the optimizer starts with nothing for it. It recovers: a warning."""

    remembers_head = False
    lr_head = 1e-3


class NothingButTheOptimizer(HeadWasNotSaved):
    """The model is as it was drawn."""

    def restore_model(self) -> None:
        pass


class AllOfItWasSaved(HeadWasNotSaved):
    """What was learnt comes back, and CE begins far under chance."""

    steps = 60

    def after_building(self) -> None:
        learning = TinyTraining()
        learning.model, learning.optimizer, learning.steps = self.model, self.optimizer, 60
        learning.train()
        self.learnt = {n: w.clone() for n, w in self.model.state_dict().items()}

    def restore_model(self) -> None:
        self.model.load_state_dict(self.learnt)

    window = (40, 60)


SICK = [HeadWasNotSaved, HeadMadeAnew, NothingButTheOptimizer]
HEALTHY = [AllOfItWasSaved]
