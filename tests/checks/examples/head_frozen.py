from tests.checks.tiny import Model, TinyTraining


class CaughtByThePattern(TinyTraining):
    def make_model(self) -> Model:
        model = Model(self.identities)
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not name.startswith(("classifier", "bottleneck.bias"))
        return model


class BackboneFrozenOnPurpose(TinyTraining):
    def make_model(self) -> Model:
        model = Model(self.identities)
        model.base.requires_grad_(False)
        return model


SICK = [CaughtByThePattern]
HEALTHY = [BackboneFrozenOnPurpose]
