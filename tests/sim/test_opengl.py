from __future__ import annotations

import pytest

from armtune_sim import opengl


def test_error_says_what_to_install_when_nothing_can_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "_library", lambda name: None)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    with pytest.raises(opengl.NoRendererError, match="install libegl1"):
        opengl.backend()


def test_osmesa_is_chosen_when_egl_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(opengl, "_egl_works", lambda: False)
    monkeypatch.setattr(opengl, "_osmesa_works", lambda: True)
    assert opengl.backend() == "osmesa"


def test_choice_is_the_persons_when_they_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(opengl, "_osmesa_works", lambda: False)
    with pytest.raises(opengl.NoRendererError, match="MUJOCO_GL=osmesa"):
        opengl.backend()
