"""Which off-screen OpenGL this machine has, asked without mujoco: importing that fails where the named one does not."""

from __future__ import annotations

import ctypes
import os

_EGL_PLATFORM_DEVICE = 0x313F
_KNOWN = ("", "egl", "osmesa", "glfw")
"""What may be asked for; a wish for windows is passed over, since none are opened here."""
_OSMESA = ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")


class NoRendererError(OSError):
    """Neither EGL nor OSMesa works here."""


def backend() -> str:
    """Return ``egl`` or ``osmesa``: what ``MUJOCO_GL`` names, else the first that works.

    Raises:
        NoRendererError: when neither works, saying what to install; or the name is not one.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted not in _KNOWN:
        raise NoRendererError(f"MUJOCO_GL: expected egl or osmesa, got {wanted!r}; unset it to have one chosen")
    works = {"egl": _egl_works, "osmesa": _osmesa_works}
    for name in [wanted] if wanted in works else works:
        if works[name]():
            return name
    asked = f" (MUJOCO_GL={wanted})" if wanted in works else ""
    raise NoRendererError(
        f"no off-screen OpenGL found{asked}; "
        "install libegl1 libegl-mesa0 libgl1-mesa-dri, or libosmesa6 and set MUJOCO_GL=osmesa"
    )


def _osmesa_works() -> bool:
    return any(_library(name) is not None for name in _OSMESA)


def _egl_works() -> bool:
    """Whether EGL gives a display on some device; asked through ctypes so that a no leaves nothing behind."""
    egl = _library("libEGL.so.1")
    if egl is None:
        return False
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    devices, count = (ctypes.c_void_p * 16)(), ctypes.c_int(0)
    query = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    display_of = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query or not display_of:
        return False
    ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(query)(
        16, ctypes.addressof(devices), ctypes.addressof(count)
    )
    get = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(display_of)
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    displays = [get(_EGL_PLATFORM_DEVICE, device, None) for device in devices[: count.value]]
    return any(display and egl.eglInitialize(display, None, None) for display in displays)


def _library(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
