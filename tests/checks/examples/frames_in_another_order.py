from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from tests.checks.examples.labels_shifted import SideBySide
from tests.checks.examples.labels_unrelated_to_images import Clothes, Dressed
from tests.checks.tiny import Model

FRAMES = 4


class Clips(Dressed):
    """Each batch is eight clips of four frames, all of one person; each frame has its label."""

    def make_loader(self) -> DataLoader[tuple[Tensor, int]]:
        clothes = Clothes(self.identities)
        return DataLoader(clothes, batch_sampler=SideBySide(clothes.labels, people=8, images=FRAMES))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        clips, labels = images.view(8, FRAMES, *images.shape[1:]), labels[::FRAMES]
        return self.loss_of_clips(clips, labels)

    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(clips.flatten(0, 1))[0], labels.repeat_interleave(FRAMES))


class LabelsRepeatedByTurns(Clips):
    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(clips.flatten(0, 1))[0], labels.repeat(FRAMES))


class BothByTurns(Clips):
    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(clips.transpose(0, 1).flatten(0, 1))[0], labels.repeat(FRAMES))


class MeanOfFrames(Model):
    def neck(self, global_feat: Tensor) -> Tensor:  # (B * T, D) -> (B, D)
        return super().neck(self.gather(global_feat))

    def gather(self, features: Tensor) -> Tensor:
        return features.view(-1, FRAMES, features.shape[1]).mean(1)


class MeanOfFramesByTurns(MeanOfFrames):
    def gather(self, features: Tensor) -> Tensor:
        return features.view(FRAMES, -1, features.shape[1]).mean(0)


class MeansOfClips(Clips):
    def make_model(self) -> nn.Module:
        return MeanOfFrames(self.identities)

    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(clips.flatten(0, 1))[0], labels)


class GatheredByTurns(MeansOfClips):
    def make_model(self) -> nn.Module:
        return MeanOfFramesByTurns(self.identities)


class MeansOfClipsByTurns(GatheredByTurns):
    def loss_of_clips(self, clips: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(clips.transpose(0, 1).flatten(0, 1))[0], labels)


SICK = [LabelsRepeatedByTurns, GatheredByTurns]
HEALTHY = [Clips, BothByTurns, MeansOfClips, MeansOfClipsByTurns]
