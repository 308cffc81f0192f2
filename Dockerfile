# Two images from one file. No container is needed to develop: see docs/install.md.
#   docker build --target robot -t armtune:robot .
#   docker build --target workstation -t armtune:workstation .
FROM ros:jazzy-ros-base AS robot

RUN apt-get update && apt-get install -y --no-install-recommends \
      python3-pip python3-colcon-common-extensions ros-jazzy-rmw-fastrtps-cpp ros-jazzy-ros2launch \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /armtune
COPY constraints constraints
# numpy<2: Jazzy's message modules are built against numpy 1. No training library here.
RUN pip install --break-system-packages --no-cache-dir "numpy<2" -r constraints/robot.txt -r constraints/cpu.txt

COPY configs configs
COPY policies policies
COPY calibration calibration
COPY ros_ws ros_ws
RUN . /opt/ros/jazzy/setup.sh && colcon build --merge-install --install-base /opt/armtune --base-paths ros_ws/src policies calibration --cmake-args -DBUILD_TESTING=OFF

COPY docker/entrypoint.sh /entrypoint.sh
ENV PATH=/opt/armtune/lib/armtune_bringup:$PATH
WORKDIR /data
ENTRYPOINT ["/entrypoint.sh"]
CMD ["armtune", "doctor"]

FROM robot AS workstation

RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libegl-mesa0 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --break-system-packages --no-cache-dir "numpy<2" -r /armtune/constraints/workstation.txt
