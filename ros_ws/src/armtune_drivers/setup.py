from setuptools import find_packages, setup

NAME = "armtune_drivers"

setup(
    name=NAME,
    version="0.1.0",
    description="Cameras and arm adapters",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=["numpy", "opencv-python-headless"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": [
            "arm_node = armtune_drivers.arm_node:main",
            "camera_check_node = armtune_drivers.camera_check_node:main",
            "camera_node = armtune_drivers.camera_node:main",
            "ros2_control_node = armtune_drivers.ros2_control_node:main",
        ],
    },
)
