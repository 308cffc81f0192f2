#!/bin/sh
# Says which system packages are missing; installs them where that is possible without asking.
set -eu
python=${PYTHON:-python3}
missing=""
command -v gcc >/dev/null || missing="$missing gcc"
command -v g++ >/dev/null || missing="$missing g++"
"$python" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
[ -f "$header" ] || missing="$missing python3-dev"
libraries=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true)
case "$libraries" in
  *libEGL_mesa.so*libEGL.so*|*libEGL.so*libEGL_mesa.so*|*libOSMesa.so*) ;;
  *) missing="$missing libegl1 libegl-mesa0 libgl1-mesa-dri" ;;
esac
case "$libraries" in
  *libusb-1.0.so.0*) ;;
  *) # RealSense only: worth installing where that asks nobody, no reason to stop
    [ "$(id -u)" = 0 ] && missing="$missing libusb-1.0-0" || echo "note: RealSense cameras want libusb-1.0-0" ;;
esac
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing system packages:$missing"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "missing system packages; please run: sudo apt-get install$missing" >&2
  exit 1
fi
