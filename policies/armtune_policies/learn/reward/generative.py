"""Generative vision-language models asked a yes/no question: RoboFuME's reward, made deterministic.

Nothing is generated: the logits of the first answer token are read once, every spelling of yes against
every spelling of no. All is locked but the projection between image tower and language model, as in the
paper, or adapters on the language model's attention.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from armtune_policies.contract import ObservationSpec
from armtune_policies.store.manifest import ModelError

from .families import FAMILIES, QUESTION, Family, image_size_px
from .folders import model_type, open_model, open_tokenizer, pixel_facts
from .judge import Asked
from .lora import RANK, add_lora
from .pixels import Pixels

TUNES = ("projection", "lora")
SPELLINGS = ("{}", " {}")
ROOM = 48
"""Tokens a task's sentence may take: all prompts are of one length, so that a graph has one input for them."""
NO_TOKEN = -1
"""Fills a prompt up on its left."""


class Generative(nn.Module):
    """A judge's net: the logit of P(yes) against P(no) at the first answer token.

    The embedding of a sentence is the token ids of its prompt; a float32 holds them exactly.
    """

    yes: Tensor
    no: Tensor

    def __init__(
        self, model: Any, tokenizer: Any, pixels: Pixels, cameras: int, tune: str = "projection", rank: int = RANK
    ) -> None:
        super().__init__()
        if tune not in TUNES:
            raise ValueError(f"tune: expected one of {', '.join(TUNES)}, got {tune!r}")
        self.model, self.pixels, self._cameras = model.eval().requires_grad_(False), pixels, cameras
        self.family: Family = FAMILIES[model.config.model_type]
        self._tokenizer = tokenizer
        self.register_buffer("yes", torch.tensor(first_tokens(tokenizer, "yes")), persistent=False)
        self.register_buffer("no", torch.tensor(first_tokens(tokenizer, "no")), persistent=False)
        if tune == "lora":
            add_lora(self.model, self.family.language, rank)
        else:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(bool(re.match(self.family.projection, name)))

    @property
    def has_graph(self) -> bool:
        """Whether it can be exported."""
        return self.family.has_graph

    @classmethod
    def load(cls, folder: Path, spec: ObservationSpec, tune: str = "projection", rank: int = RANK) -> Asked:
        """Return a ``Backend`` of the model and the tokenizer in a transformers folder.

        Raises:
            ModelError: in one sentence, when the folder will not do.
        """
        if (kind := model_type(folder)) not in FAMILIES:
            raise ModelError(f"{folder}: expected a model of type {', '.join(FAMILIES)}, got {kind}")
        model, tokenizer = open_model(folder, "AutoModelForImageTextToText"), open_tokenizer(folder)
        pixels = Pixels(spec.height_px, spec.width_px, image_size_px(model.config), *pixel_facts(folder))
        net = cls(model, tokenizer, pixels, len(spec.cameras), tune, rank)
        return Asked(net, embed=net.embed)

    def embed(self, questions: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the prompt (L,) per sentence, filled up on the left with ``NO_TOKEN``.

        Raises:
            ValueError: for a sentence of more than ``ROOM`` tokens.
        """
        length = len(self._ids("")) + ROOM
        rows = {}
        for question in questions:
            ids = self._ids(question)
            if len(ids) > length:
                raise ValueError(f"{question!r}: expected at most {ROOM} tokens, got {len(ids) - length + ROOM}")
            rows[question] = np.array([NO_TOKEN] * (length - len(ids)) + ids, np.float32)
        return rows

    def _ids(self, question: str) -> list[int]:
        family, asked = self.family, QUESTION.format(question)
        if self._tokenizer.chat_template:
            parts = [{"type": "image"}] * self._cameras + [{"type": "text", "text": asked}]
            turn = [{"role": "user", "content": parts}]
            said = self._tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        else:
            said = family.template.format(pictures=family.shown * self._cameras, question=asked)
        said = said.replace(family.picture, family.expand(self.model.config))
        return list(self._tokenizer(said, add_special_tokens=False)["input_ids"])

    def train(self, mode: bool = True) -> Generative:
        """As ``Module.train``, but for the model: what is locked has no dropout."""
        super().train(mode)
        self.model.eval()
        return self

    def look(self, images: Sequence[Tensor]) -> Tensor:
        """Return what the language model is shown of all cameras, averaged over the tokens, (N, width)."""
        return self.family.features(self.model, self._pictures(images)).mean(dim=1).to(images[0].device)

    def logits(self, images: Sequence[Tensor], sentence: Tensor) -> Tensor:
        """Return (N,) logits of yes for prompts (N, L)."""
        return self.both(images, sentence)[0]

    def both(self, images: Sequence[Tensor], sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and looks, where the images are; the model may be elsewhere."""
        pictures, sentence = self._pictures(images), sentence.to(self.yes.device)
        ids, mask = sentence.to(torch.int64).clamp(min=0), (sentence >= 0).to(torch.int64)
        features = self.family.features(self.model, pictures)
        more: dict[str, Any] = {"attention_mask": mask, "use_cache": False, "logits_to_keep": 1}
        if self.family.has_graph:  # the same as its own forward, in a form that a graph can hold
            here = (ids == self.model.config.image_token_id)[:, :, None]
            words = self.model.get_input_embeddings()(ids)
            more |= self.family.beside(ids)
            more["inputs_embeds"] = words.masked_scatter(here, features.to(words.dtype))
        else:
            more |= {"input_ids": ids, **self.family.inputs(self.model.config, pictures, ids)}
        answer = torch.log_softmax(self.model(**more).logits[:, -1].float(), dim=1)
        logits = torch.logsumexp(answer[:, self.yes], dim=1) - torch.logsumexp(answer[:, self.no], dim=1)
        return logits.to(images[0].device), features.mean(dim=1).to(images[0].device)

    def _pictures(self, images: Sequence[Tensor]) -> Tensor:
        return torch.stack([self.pixels(image) for image in images], dim=1)


def first_tokens(tokenizer: Any, word: str) -> list[int]:
    """Return the tokens an answer may begin with that is this word and nothing else, in any case.

    Raises:
        ModelError: when no spelling is one token.
    """
    found = set()
    for spelling in SPELLINGS:
        for cased in (word, word.capitalize(), word.upper()):
            ids = tokenizer(spelling.format(cased), add_special_tokens=False)["input_ids"]
            if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
                found.add(ids[0])
    if not found:
        raise ModelError(f"the tokenizer has no single token for {word!r}: this model cannot be asked yes or no")
    return sorted(found)
