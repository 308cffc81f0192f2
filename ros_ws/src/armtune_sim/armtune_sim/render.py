"""Frames without a display: EGL or OSMesa, whichever this machine has."""

from __future__ import annotations

import importlib
import weakref
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .opengl import backend


class Renderer:
    """Draws one model. Use from one thread only.

    Raises:
        NoRendererError: when no off-screen OpenGL works on this machine.
    """

    def __init__(self, model: mujoco.MjModel, shadows: bool = False) -> None:
        self._model = model
        self._width, self._height = model.vis.global_.offwidth, model.vis.global_.offheight
        # Not mujoco.Renderer: it fixes the backend when mujoco is first imported, by whomever.
        self._gl: Any = importlib.import_module(f"mujoco.{backend()}").GLContext(self._width, self._height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        # Freed at the latest before the interpreter goes: PyOpenGL cannot do it after.
        self._close = weakref.finalize(self, _free, self._gl, self._context)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=400)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._option, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def render(self, data: mujoco.MjData, camera: str, height_px: int, width_px: int) -> NDArray[np.uint8]:
        """Return one frame, rgb8, uint8, shape (height_px, width_px, 3).

        Raises:
            ValueError: for a camera that the model does not have.
        """
        names = [self._model.camera(i).name for i in range(self._model.ncam)]
        if camera not in names:
            raise ValueError(f"camera {camera!r}: not in this scene; known: {', '.join(names)}")
        self._gl.make_current()
        self._fit(height_px, width_px)
        self._camera.fixedcamid = names.index(camera)
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, data, self._option, None, self._camera, everything, self._scene)
        view, frame = mujoco.MjrRect(0, 0, width_px, height_px), np.empty((height_px, width_px, 3), np.uint8)
        mujoco.mjr_render(view, self._scene, self._context)
        mujoco.mjr_readPixels(frame, None, view, self._context)
        return np.ascontiguousarray(frame[::-1])

    def close(self) -> None:
        """Give the OpenGL context back; frames are over then."""
        self._close()

    def _fit(self, height_px: int, width_px: int) -> None:
        if height_px > self._height or width_px > self._width:
            self._height, self._width = max(height_px, self._height), max(width_px, self._width)
            mujoco.mjr_resizeOffscreen(self._width, self._height, self._context)


def _free(gl: Any, context: mujoco.MjrContext) -> None:
    gl.make_current()
    context.free()
    gl.free()
