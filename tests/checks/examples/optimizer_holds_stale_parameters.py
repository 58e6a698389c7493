from torch import nn

from tests.checks.tiny import Model, TinyTraining


class HeadReplacedAfterwards(TinyTraining):
    steps = 40
    window = (20, 40)

    def make_model(self) -> Model:
        return Model(1000)

    def after_building(self) -> None:
        self.model.classifier = nn.Linear(512, self.identities, bias=False)
        nn.init.normal_(self.model.classifier.weight, std=0.001)


class HeadReplacedBefore(TinyTraining):
    def make_model(self) -> Model:
        model = Model(1000)
        model.classifier = nn.Linear(512, self.identities, bias=False)
        return model


SICK = [HeadReplacedAfterwards]
HEALTHY = [HeadReplacedBefore]
