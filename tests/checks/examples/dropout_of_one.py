from torch import nn

from tests.checks.tiny import Model, TinyTraining


class KeepProbability(TinyTraining):
    p = 1.0

    def make_model(self) -> Model:
        model = Model(self.identities)
        model.classifier = nn.Sequential(nn.Dropout(self.p), model.classifier)
        return model


class Half(KeepProbability):
    p = 0.5


SICK = [KeepProbability]
HEALTHY = [Half]
