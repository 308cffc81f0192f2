# Images of the robot and the workstation, from one file. No container is needed to develop: see docs/install.md.
#   docker build --target robot -t armtune:robot .
#   docker build --target robot -t armtune:robot-gpu --build-arg ONNXRUNTIME=gpu \
#       --build-arg BASE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04 .
#   docker build --target workstation -t armtune:workstation .
#   docker build --target inference -t armtune:inference --build-arg ONNXRUNTIME_WHEEL=... .    (Jetson: docs/jetson.md)
# BASE is any Ubuntu 24.04; L4T is the Jetson's own image, whose Python is not that of ROS.
ARG BASE=ros:jazzy-ros-base
ARG L4T=nvcr.io/nvidia/l4t-jetpack:r36.4.0

FROM ros:jazzy-ros-base AS ros

FROM ${BASE} AS robot
ARG ONNXRUNTIME=cpu

# Where ROS is had from: a base that is not ROS' own does not know.
COPY --from=ros /etc/apt/sources.list.d/ /etc/apt/sources.list.d/
COPY --from=ros /usr/share/keyrings/ /usr/share/keyrings/
ENV DEBIAN_FRONTEND=noninteractive PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
RUN apt-get update && apt-get install -y --no-install-recommends \
      g++ libusb-1.0-0 python3-pip python3-colcon-common-extensions \
      ros-jazzy-ros-base ros-jazzy-rmw-fastrtps-cpp ros-jazzy-ros2launch \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /armtune
COPY constraints constraints
# numpy<2: Jazzy's message modules are built against numpy 1. No training library here.
RUN pip install "numpy<2" -r constraints/robot.txt -r constraints/${ONNXRUNTIME}.txt

COPY configs configs
COPY policies policies
COPY calibration calibration
COPY ros_ws ros_ws
RUN . /opt/ros/jazzy/setup.sh && colcon build --merge-install --install-base /opt/armtune --base-paths ros_ws/src policies calibration --cmake-args -DBUILD_TESTING=OFF

COPY docker/entrypoint.sh /entrypoint.sh
# Not root: devices come by the host's groups, real time by ulimits (compose.yaml).
RUN useradd --create-home --uid 10001 --groups dialout,video armtune && mkdir /data /run/armtune && chown armtune /data /run/armtune
ENV PATH=/opt/armtune/lib/armtune_bringup:$PATH ARMTUNE_CONFIGS=/armtune/configs
WORKDIR /data
USER armtune
ENTRYPOINT ["/entrypoint.sh"]
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s CMD ["nice", "/entrypoint.sh", "armtune", "status", "--json"]
CMD ["armtune", "doctor"]

FROM robot AS workstation
USER root
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libegl-mesa0 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*
RUN pip install "numpy<2" -r /armtune/constraints/workstation.txt
USER armtune

# One worker that runs the models of policy and reward in the Python of JetPack's GPU runtime; no ROS in it.
FROM ${L4T} AS inference
ARG ONNXRUNTIME_WHEEL=onnxruntime-gpu
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*
RUN pip3 install --no-cache-dir "numpy<2" ${ONNXRUNTIME_WHEEL}
COPY policies/armtune_policies/runtime/worker.py /worker.py
RUN useradd --create-home --uid 10001 --groups video armtune && mkdir /run/armtune && chown armtune /run/armtune
USER armtune
HEALTHCHECK --interval=60s --timeout=10s CMD ["test", "-S", "/run/armtune/inference.sock"]
CMD ["python3", "-I", "/worker.py", "--listen", "/run/armtune/inference.sock"]
